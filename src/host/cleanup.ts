// Forgets what has had its time, in small steps, so that no letter waits behind a big one.

import { Problem } from '../base/problem.ts'
import { type HostParts, withDatabase } from './context.ts'

const stepRows = 200
/** Between steps while there is more to do. */
const hurryMs = 50

export class Cleanup {
  readonly #parts: HostParts
  readonly #isBusyWith: (order: number) => boolean
  #cancelTimer: (() => void) | null = null
  #stopped = false

  /** `isBusyWith`: whether a mail is being sent right now, so that it is not given up under way. */
  constructor(parts: HostParts, isBusyWith: (order: number) => boolean) {
    this.#parts = parts
    this.#isBusyWith = isBusyWith
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
    this.#cancelTimer = this.#parts.clock.after(delayMs, () => {
      this.#comeBackIn(this.#step() ? hurryMs : this.#parts.settings.housekeepingMs)
    })
  }

  /** True when there is more to do. */
  #step(): boolean {
    try {
      const steps = withDatabase(this.#parts.database, () => this.#work())
      return steps.some((rows) => rows >= stepRows)
    } catch (thrown) {
      if (!(thrown instanceof Problem)) throw thrown
      this.#parts.emit({ event: 'trouble', problem: thrown })
      return false
    }
  }

  #work(): readonly number[] {
    const {
      peers,
      seen,
      invites,
      revocations,
      outbox,
      introductions,
      unreachable,
      settings,
      clock,
      budget,
      claims,
    } = this.#parts
    const now = clock.wallNow()
    budget.clampFuture(now)
    return [
      peers.removeExpired(now, stepRows),
      peers.clampFuture(now, stepRows),
      seen.forgetStale(now, stepRows),
      peers.forgetLeftAgents(now - settings.freshnessMs - settings.futureToleranceMs, stepRows),
      invites.removeEnded(now - settings.expiryMs, now, stepRows),
      invites.forgetEnded(now, stepRows),
      revocations.forgetEnded(now, stepRows),
      this.#giveUp(now - settings.keepUnsentMs),
      outbox.clampFuture(now, now + settings.retryMaxMs, stepRows),
      introductions.clampFuture(now, stepRows),
      unreachable.forget(now, stepRows),
      unreachable.clampFuture(now, stepRows),
      claims?.forgetExpired(now, now + settings.mailClaimMs, stepRows) ?? 0,
    ]
  }

  #giveUp(addedUntil: number): number {
    const { outbox, emit, claims, clock } = this.#parts
    const late = outbox.tooOld(addedUntil, stepRows).filter(({ order }) => !this.#isBusyWith(order))
    const old = claims && late.length > 0 ? claims.withoutLease(late, clock.wallNow()) : late
    outbox.drop(old)
    for (const { kind } of old) {
      emit({ event: 'unsent', kind, outcome: 'given-up', reason: 'it could not be sent for too long' })
    }
    return old.length
  }
}
