// Letters that a representative host hands on without opening them (A14): the boxes stand in the mail to the
// worker as they came, and before them one sealed to the worker, which says where they came from.

import { concatBytes, equalBytes } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { armorLetter } from './armor.ts'
import type { ForwardLetter } from './letter-types.ts'
import { openOneOf } from './mail-text.ts'
import { type Refused, refuse } from './refusal.ts'
import { type Opened, type OpeningKeys, type SealingKeys, sealLetter } from './seal-letter.ts'

export function boxesDigest(crypto: Crypto, boxes: readonly Uint8Array[]): Uint8Array {
  return crypto.hash(concatBytes(...boxes), 32)
}

/** `boxes`: those that `letter` names by their digest; 1 to `limits.letterBoxes`. Text as `writeLetter` makes it. */
export function writeForward(
  crypto: Crypto,
  letter: ForwardLetter,
  boxes: readonly Uint8Array[],
  keys: SealingKeys,
): string {
  return armorLetter(crypto, sealLetter(crypto, letter, keys), ...boxes)
}

/** What was forwarded. `boxes`: all of the mail, the forward letter's own among them. */
export function openForwarded(
  crypto: Crypto,
  letter: ForwardLetter,
  boxes: readonly Uint8Array[],
  keys: OpeningKeys,
): Opened | Refused {
  // Its own box stands first: nobody else may have put one in between.
  const forwarded = boxes.slice(1)
  if (!equalBytes(boxesDigest(crypto, forwarded), letter.boxes)) return refuse('malformed')
  return openOneOf(crypto, forwarded, keys)
}
