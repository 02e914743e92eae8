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
import type { HostGround } from '../context.ts'
import type { DropReason } from '../events.ts'

export type BetweenHosts = TableLetter | TableRequestLetter | SignalLetter | ForwardLetter | TakenLetter

const kinds: ReadonlySet<LetterKind> = new Set(['table', 'table-request', 'forward', 'taken'])

export function isBetweenHosts(letter: Letter): letter is BetweenHosts {
  return kinds.has(letter.kind) || (letter.kind === 'signal' && letter.relay !== undefined)
}

/** To be called inside the letter's transaction, and once for it. Null when it is fresh and new. */
export function repeats(
  { seen, settings }: Pick<HostGround, 'seen' | 'settings'>,
  { from, id, sentAt }: BetweenHosts,
  now: number,
): DropReason | null {
  if (sentAt <= seen.forgottenUntil || now - sentAt > settings.freshnessMs) return 'stale'
  return seen.remember(from, id, sentAt) ? null : 'copy'
}
