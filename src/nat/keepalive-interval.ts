// The interval at which a NAT mapping is refreshed, so that it does not expire (C4).

/** Fraction of a known lifetime; leaves room for a retransmission. */
const refreshAfter = 0.8
/** Interval for an unknown lifetime: the shortest in the field is 10 s. */
const usualIntervalMs = 8_000

type IntervalBounds = { readonly leastMs: number; readonly mostMs: number }

/** `lifetimeMs`: of a mapping without traffic; null when unknown. `mostMs` has priority over `leastMs`. */
export function keepaliveIntervalMs(lifetimeMs: number | null, { leastMs, mostMs }: IntervalBounds): number {
  if (lifetimeMs === null) return Math.min(mostMs, usualIntervalMs)
  return Math.min(mostMs, Math.max(leastMs, refreshAfter * lifetimeMs))
}
