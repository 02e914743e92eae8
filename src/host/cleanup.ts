// Forgets what has had its time, in small steps, so that no letter waits behind a big one.

import type { HostContext } from './context.ts'
import { tryDatabase } from './host-problems.ts'
import type { Repositories } from './repositories.ts'

const stepRows = 200
/** Between steps while there is more to do. */
const hurryMs = 50

/** All but the keys that a command blocked, which stay. */
type Cleaned = Omit<Repositories, 'blocked'>

export class Cleanup {
  readonly #context: HostContext
  readonly #repositories: Cleaned
  readonly #isBusyWith: (order: number) => boolean
  #cancelTimer: (() => void) | null = null
  #stopped = false

  /** `outboxSender` knows whether a mail is being sent right now, so that it is not given up under way. */
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
    this.#comeBackIn(hurryMs)
  }

  stop(): void {
    this.#stopped = true
    this.#cancelTimer?.()
  }

  #comeBackIn(delayMs: number): void {
    if (this.#stopped) return
    const { clock, settings } = this.#context
    this.#cancelTimer = clock.after(delayMs, () => {
      const rows = tryDatabase(this.#context, this.#repositories.database, () => this.#step()) ?? []
      const isMore = rows.some((count) => count >= stepRows)
      this.#comeBackIn(isMore ? hurryMs : settings.cleanupMs)
    })
  }

  /** How many rows of each kind went. */
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
