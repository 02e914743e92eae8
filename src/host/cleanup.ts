// Deletes expired rows of all tables in small steps, so that no letter waits behind a long one.

import type { HostContext } from './context.ts'
import { tryDatabase } from './host-problems.ts'
import type { Repositories } from './repositories.ts'

const stepRows = 200
/** Pause between two steps while more rows are left. */
const busyPauseMs = 50

/** Blocked keys never expire. */
type Cleaned = Omit<Repositories, 'blocked'>

export class Cleanup {
  readonly #context: HostContext
  readonly #repositories: Cleaned
  readonly #isBusyWith: (order: number) => boolean
  #cancelTimer: (() => void) | null = null
  #stopped = false

  /** A mail that `outboxSender` is sending right now is not given up. */
  constructor(
    context: HostContext,
    {
      outboxSender,
      ...repositories
    }: Cleaned & { readonly outboxSender: { isBusyWith(order: number): boolean } },
  ) {
    this.#context = context
    this.#repositories = repositories
    this.#isBusyWith = (order) => outboxSender.isBusyWith(order)
  }

  start(): void {
    this.#scheduleStep(busyPauseMs)
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTimer?.()
  }

  #scheduleStep(delayMs: number): void {
    if (this.#stopped) return
    const { clock, settings } = this.#context
    this.#cancelTimer = clock.after(delayMs, () => {
      const rows = tryDatabase(this.#context, this.#repositories.database, () => this.#step()) ?? []
      const isMore = rows.some((count) => count >= stepRows)
      this.#scheduleStep(isMore ? busyPauseMs : settings.cleanupMs)
    })
  }

  /** The number of deleted or corrected rows for each kind. */
  #step(): readonly number[] {
    const { peers, seen, invites, revocations, outbox, introductions, unreachable, budget, leases } =
      this.#repositories
    const { settings, clock } = this.#context
    const now = clock.wallNow()
    budget.clampFuture(now)
    return [
      peers.removeExpired(now, stepRows),
      peers.clampFuture(now, stepRows),
      seen.forgetStale(now, stepRows),
      peers.forgetDepartedAgents(now - settings.freshnessMs - settings.futureToleranceMs, stepRows),
      invites.removeEnded(now - settings.expiryMs, now, stepRows),
      invites.forgetEnded(now, stepRows),
      revocations.forgetEnded(now, stepRows),
      this.#giveUp(now - settings.keepUnsentMs),
      outbox.clampFuture(now, now + settings.retryMaxMs, stepRows),
      introductions.clampFuture(now, stepRows),
      unreachable.forget(now, stepRows),
      unreachable.clampFuture(now, stepRows),
      leases?.forgetExpired(now, now + settings.mailLeaseMs, stepRows) ?? 0,
    ]
  }

  #giveUp(addedUntil: number): number {
    const { outbox, leases } = this.#repositories
    const { emit, clock } = this.#context
    const late = outbox.tooOld(addedUntil, stepRows).filter(({ order }) => !this.#isBusyWith(order))
    const old = leases && late.length > 0 ? leases.withoutLease(late, clock.wallNow()) : late
    outbox.drop(old)
    for (const { kind } of old) {
      emit({ event: 'unsent', kind, outcome: 'given-up', reason: 'it could not be sent for too long' })
    }
    return old.length
  }
}
