// Durations in config files: "250ms", "60s", "5m", "12h", "7d".

const unitMs = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const

/** Returns milliseconds. Null when the text is not a duration, or is longer than 366 days. */
export function parseDuration(text: string): number | null {
  const match = /^([0-9]{1,9}(?:\.[0-9]{1,3})?) ?(ms|s|m|h|d)$/.exec(text.trim())
  if (!match) return null
  const ms = Math.round(Number(match[1]) * unitMs[match[2] as keyof typeof unitMs])
  return ms <= 366 * unitMs.d ? ms : null
}

/** The shortest exact form. */
export function formatDuration(ms: number): string {
  for (const unit of ['d', 'h', 'm', 's'] as const) {
    if (ms !== 0 && ms % unitMs[unit] === 0) return `${ms / unitMs[unit]}${unit}`
  }
  return `${ms}ms`
}
