// Letters that only a host may send to a host.

import type { Letter, SignalLetter, TableLetter, TableRequestLetter } from '../letter/kinds.ts'

export type BetweenHosts = TableLetter | TableRequestLetter | SignalLetter

export function isBetweenHosts(letter: Letter): letter is BetweenHosts {
  const { kind } = letter
  return kind === 'table' || kind === 'table-request' || (kind === 'signal' && letter.relay !== undefined)
}
