// How fast a machine may make new mappings. NATs of homes drop or misplace what comes faster, and a whole table of
// theirs filled at once takes other people's connections down (design §6: at most 200 a second).

export const newMappingsPerSecond = 200
export const burst = 20

export class TokenBucket {
  #tokens: number = burst
  #filledAt: number

  constructor(now: number) {
    this.#filledAt = now
  }

  /** May go below nothing, for what cannot wait; others then wait for it. */
  take(now: number, count: number): void {
    this.#fill(now)
    this.#tokens -= count
  }

  has(now: number, count: number): boolean {
    this.#fill(now)
    return this.#tokens >= count
  }

  /** When there will be `count` of them, at most `burst`, if nobody takes any. */
  readyAt(count: number): number {
    // Rounded up, for a timer that goes off a hair too early would find nothing and be set again at once.
    const missing = Math.max(0, count - this.#tokens)
    return this.#filledAt + Math.ceil((missing * 1_000) / newMappingsPerSecond)
  }

  #fill(now: number): void {
    if (now <= this.#filledAt) return
    const fresh = ((now - this.#filledAt) * newMappingsPerSecond) / 1_000
    this.#tokens = Math.min(burst, this.#tokens + fresh)
    this.#filledAt = now
  }
}
