// Time as it is handed in. Nothing else in the product reads a clock or sets a timer.

export interface Clock {
  /** Monotonic milliseconds, for intervals. */
  now(): number
  /** Unix time in milliseconds, for the age of letters only. */
  wallNow(): number
  /** Calls back once after `delayMs`; the returned function cancels it and may be called at any time. */
  after(delayMs: number, callback: () => void): () => void
}
