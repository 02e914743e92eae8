// Letters that only a host may send to a host.

import type {
  ForwardLetter,
  Letter,
  LetterKind,
  SignalLetter,
  TableLetter,
  TableRequestLetter,
  TakenLetter,
} from '../../letter/letter-types.ts'
import type { SeenLetters } from '../../store/seen-letters.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'

export type BetweenHosts = TableLetter | TableRequestLetter | SignalLetter | ForwardLetter | TakenLetter

/** That another host passes on to its recipient. */
export type RelayedSignal = Pick<SignalLetter, 'room' | 'peer' | 'box' | 'relay'>

/** An answer may be completed for so long: a letter between hosts that got lost is made up for by the comparison of their
 *  tables ten minutes later. Whom an agent was offered is told for so long, too. */
export const lateMs = 15 * 60_000

const kinds: ReadonlySet<LetterKind> = new Set(['table', 'table-request', 'forward', 'taken'])

export function isBetweenHosts(letter: Letter): letter is BetweenHosts {
  return kinds.has(letter.kind) || (letter.kind === 'signal' && letter.relay !== undefined)
}

/** To be called inside the letter's transaction, and once for it. Null when it is fresh and new. */
export function repeats(
  { settings }: Pick<HostContext, 'settings'>,
  seen: SeenLetters,
  { from, id, sentAt }: BetweenHosts,
  now: number,
): DropReason | null {
  if (sentAt <= seen.forgottenUntil || now - sentAt > settings.freshnessMs) return 'stale'
  return seen.remember(from, id, sentAt) ? null : 'copy'
}
