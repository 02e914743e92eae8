// The computer's clock against those of the mail servers, by the times that they write into a letter on its way
// (RFC 5321 §4.4): no other server has to be asked.

import { seconds } from '../../wording/numbers-text.ts'
import { type Finding, fault, ok, warning } from './findings.ts'

export type Stamped = {
  readonly stamps: readonly number[]
  readonly sentAt: number
  readonly foundAt: number
}

/** Beyond it two agents behind hard NATs miss the instants they agree on. */
const noticedMs = 10_000

/**
 * How far our clock is ahead of theirs, in ms; negative when behind, 0 where a stamp lies between sending and finding.
 * Of several servers the one nearest to us counts: one may be wrong itself. Null where nobody wrote a time.
 */
export function clockOffset({ stamps, sentAt, foundAt }: Stamped): number | null {
  const offsets = stamps.map((stamp) => {
    // Stamps are whole seconds, cut off.
    if (stamp + 1_000 < sentAt) return sentAt - stamp
    return stamp > foundAt ? foundAt - stamp : 0
  })
  return offsets.length === 0 ? null : offsets.reduce((a, b) => (Math.abs(b) < Math.abs(a) ? b : a))
}

/** What hosts forgive (A3, and the bound on clocks that are ahead). */
export type Tolerance = { readonly aheadMs: number; readonly behindMs: number }

export function checkClock(stamped: Stamped, tolerance: Tolerance): Finding {
  const offset = clockOffset(stamped)
  if (offset === null) {
    return ok('clock', 'The clock was not compared: no server wrote its time into the letter.')
  }
  if (offset === 0) return ok('clock', 'The clock agrees with that of the mail server.')
  const far = `The clock of this computer is ${seconds(Math.abs(offset))} ${offset > 0 ? 'ahead of' : 'behind'} the mail server’s`
  const remedy = 'Set it by NTP, for example with `timedatectl set-ntp true`.'
  if (offset > tolerance.aheadMs || -offset > tolerance.behindMs) {
    return fault(
      'clock',
      `${far}: letters are refused as ${offset > 0 ? 'from the future' : 'too old'}.`,
      remedy,
    )
  }
  if (Math.abs(offset) > noticedMs) {
    return warning('clock', `${far}: players behind hard NATs, who agree on instants, may be missed.`, remedy)
  }
  return ok('clock', `${far}, which does no harm.`)
}
