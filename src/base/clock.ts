// The clock that is passed to every class that needs time. Only `runtime/system-clock.ts` reads the real time.

export interface Clock {
  /** Monotonic milliseconds, for intervals. */
  now(): number
  /** Unix time in milliseconds, for the age of letters and for timestamps. It may jump when the system clock is set. */
  wallNow(): number
  /** Calls back once after `delayMs`. The returned function cancels the timer; it may be called at any time. */
  after(delayMs: number, callback: () => void): () => void
}
