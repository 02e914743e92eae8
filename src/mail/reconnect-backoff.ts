// The wait before the next attempt. It doubles up to a limit, and it is scattered, so that many clients of one server
// do not return at the same moment.

export type Backoff = { readonly firstMs: number; readonly lastMs: number }

/** `attempt` counts from 0. `random` is uniform in [0, 1). Returns between half of the step and the whole step. */
export function backoffMs(attempt: number, { firstMs, lastMs }: Backoff, random: () => number): number {
  const step = Math.min(lastMs, firstMs * 2 ** Math.min(attempt, 30))
  return Math.round(step * (0.5 + random() / 2))
}
