// How often a NAT mapping is refreshed, so that the NAT does not forget it (C4).

/** Of a known lifetime: leaves room for a retransmission. */
const refreshAfter = 0.8
/** The shortest mapping lifetime in the field is 10 s. */
const usualIntervalMs = 8_000

type IntervalBounds = { readonly leastMs: number; readonly mostMs: number }

/** `lifetimeMs`: of a mapping without traffic; null while nobody knows. `mostMs` counts more than `leastMs`. */
export function keepaliveIntervalMs(lifetimeMs: number | null, { leastMs, mostMs }: IntervalBounds): number {
  if (lifetimeMs === null) return Math.min(mostMs, usualIntervalMs)
  return Math.min(mostMs, Math.max(leastMs, refreshAfter * lifetimeMs))
}
