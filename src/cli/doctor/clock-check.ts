// Compares the clock with those of the mail servers. They write their time into a letter on its way (RFC 5321 §4.4), so no
// time server is needed.

import { seconds } from '../../wording/numbers-text.ts'
import { type Finding, fault, ok, warning } from './findings.ts'

export type LetterTimes = {
  readonly serverTimes: readonly number[]
  readonly sentAt: number
  readonly foundAt: number
}

/** With a larger offset two agents behind hard NATs miss the instant at which they agreed to start. */
const warningMs = 10_000

/**
 * How far our clock is ahead, in ms; negative when it is behind. 0 when a server's time is between sending and finding. Of
 * several servers the smallest offset counts, as the clock of a server may be wrong too. Null when no server wrote a time.
 */
function clockOffset({ serverTimes, sentAt, foundAt }: LetterTimes): number | null {
  const offsets = serverTimes.map((time) => {
    // Servers write whole seconds, rounded down.
    if (time + 1_000 < sentAt) return sentAt - time
    return time > foundAt ? foundAt - time : 0
  })
  return offsets.length === 0 ? null : offsets.reduce((a, b) => (Math.abs(b) < Math.abs(a) ? b : a))
}

/** How far a host lets the date of a letter be wrong (A3, and its limit for clocks that are ahead). */
export type Tolerance = { readonly aheadMs: number; readonly behindMs: number }

export function checkClock(times: LetterTimes, tolerance: Tolerance): Finding {
  const offset = clockOffset(times)
  if (offset === null) {
    return ok('clock', 'The clock was not compared: no server wrote its time into the letter.')
  }
  if (offset === 0) return ok('clock', 'The clock agrees with that of the mail server.')
  const words = `The clock of this computer is ${seconds(Math.abs(offset))} ${offset > 0 ? 'ahead of' : 'behind'} the mail server’s`
  const remedy = 'Set it by NTP, for example with `timedatectl set-ntp true`.'
  if (offset > tolerance.aheadMs || -offset > tolerance.behindMs) {
    return fault(
      'clock',
      `${words}: letters are refused as ${offset > 0 ? 'from the future' : 'too old'}.`,
      remedy,
    )
  }
  if (Math.abs(offset) > warningMs) {
    return warning(
      'clock',
      `${words}: connections with players behind hard NATs, which need an exact time, may fail.`,
      remedy,
    )
  }
  return ok('clock', `${words}. This does no harm.`)
}
