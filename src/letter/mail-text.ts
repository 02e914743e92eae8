// Letter to mail text and back: signature, seal and armor in one call.

import type { Crypto, KeyPair } from '../base/crypto.ts'
import { armorLetter, readArmor } from './armor.ts'
import type { Letter } from './letter-types.ts'
import { type Refused, refuse } from './refusal.ts'
import { type Opened, type OpeningKeys, openLetter, type SealingKeys, sealLetter } from './seal-letter.ts'

/** Signs, seals and armors a letter. Returns 7-bit text with LF line ends. Throws a Problem (`internal`) as `sealLetter`. */
export function writeLetter(crypto: Crypto, letter: Letter, keys: SealingKeys): string {
  return armorLetter(crypto, sealLetter(crypto, letter, keys))
}

/** Whether a letter in the text is sealed to one of these X25519 key pairs. Its content is not checked. */
export function isSealedTo(crypto: Crypto, text: string, keyPairs: readonly KeyPair[]): boolean {
  const armored = readArmor(crypto, text)
  if (!armored.ok) return false
  return armored.boxes.some((box) => keyPairs.some((keyPair) => crypto.openSealed(box, keyPair) !== null))
}

/** Reads the letter in the text that is sealed to us. Other letters in it may be for others. Never throws. */
export function readLetter(crypto: Crypto, text: string, keys: OpeningKeys): Opened | Refused {
  const armored = readArmor(crypto, text)
  return armored.ok ? openOneOf(crypto, armored.boxes, keys) : armored
}

/** Opens the first box that is sealed to us. */
export function openOneOf(crypto: Crypto, boxes: readonly Uint8Array[], keys: OpeningKeys): Opened | Refused {
  for (const sealed of boxes) {
    const opened = openLetter(crypto, sealed, keys)
    if (opened.ok || opened.refusal !== 'wrong-key') return opened
  }
  return refuse('wrong-key')
}
