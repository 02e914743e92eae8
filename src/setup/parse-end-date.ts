// Parses the end of an invite: "30d" from now, or a date.

import { Problem } from '../base/problem.ts'
import { parseDuration } from '../config/duration.ts'

/** Returns Unix ms. A date without a time means the start of the day. Without a zone it is local time. */
export function parseUntil(text: string, now: number): number {
  const until = parseInstant(text.trim(), now)
  if (until === null) {
    throw new Problem(
      'usage',
      `"--until ${text}" is no date and no duration.`,
      'Write it like 2027-01-31, 2027-01-31T18:00 or 30d.',
    )
  }
  if (until > now) return until
  throw new Problem('usage', `"--until ${text}" is in the past.`, 'Name a later date.')
}

function parseInstant(text: string, now: number): number | null {
  const duration = parseDuration(text)
  if (duration !== null) return now + duration
  const match = /^(\d{4}-\d{2}-\d{2})(?:[T ](\d{2}:\d{2}(?::\d{2})?)(Z|[+-]\d{2}:\d{2})?)?$/.exec(text)
  if (!match) return null
  const [, day = '', time = '00:00', zone = ''] = match
  // Date accepts 2027-02-31 as a day in March.
  const isDay = new Date(`${day}T00:00Z`).toJSON()?.startsWith(day) ?? false
  const at = new Date(`${day}T${time}${zone}`).getTime()
  return isDay && Number.isFinite(at) ? at : null
}
