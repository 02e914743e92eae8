// The kinds of letters that only a host may send to a host.

import type {
  ForwardLetter,
  Letter,
  LetterKind,
  SignalLetter,
  TableLetter,
  TableRequestLetter,
  TakenLetter,
} from '../../letter/letter-types.ts'

export type PeerHostLetter = TableLetter | TableRequestLetter | SignalLetter | ForwardLetter | TakenLetter

const kinds: ReadonlySet<LetterKind> = new Set(['table', 'table-request', 'forward', 'taken'])

/** A signal counts only when another host relays it: an agent's own signal has no `relay`. */
export function isPeerHostLetter(letter: Letter): letter is PeerHostLetter {
  return kinds.has(letter.kind) || (letter.kind === 'signal' && letter.relay !== undefined)
}
