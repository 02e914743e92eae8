// Letters that a representative host forwards to a worker without opening them (A14). The mail to the worker begins with a
// box sealed to the worker, which says where the letters came from. The boxes of the letters follow unchanged.

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

/** `boxes`: 1 to `limits.letterBoxes` boxes, whose digest is in `letter`. Returns text like `writeLetter`. */
export function writeForward(
  crypto: Crypto,
  letter: ForwardLetter,
  boxes: readonly Uint8Array[],
  keys: SealingKeys,
): string {
  return armorLetter(crypto, sealLetter(crypto, letter, keys), ...boxes)
}

/** Opens the letter that was forwarded. `boxes`: all boxes of the mail, with the forward letter's own. */
export function openForwarded(
  crypto: Crypto,
  letter: ForwardLetter,
  boxes: readonly Uint8Array[],
  keys: OpeningKeys,
): Opened | Refused {
  // The first box is the forward letter's own.
  const forwarded = boxes.slice(1)
  if (!equalBytes(boxesDigest(crypto, forwarded), letter.boxes)) return refuse('malformed')
  return openOneOf(crypto, forwarded, keys)
}
