// The whole way of a letter between the program and the text of a mail.

import type { Crypto, KeyPair } from '../base/crypto.ts'
import { armorLetter, readArmor } from './armor.ts'
import type { Letter } from './letter-types.ts'
import { type Refused, refuse } from './refusal.ts'
import { type Opened, type OpeningKeys, openLetter, type SealingKeys, sealLetter } from './seal-letter.ts'

/** Signs, seals and armors: 7-bit text, LF line ends. Throws a Problem (`internal`) as `sealLetter` does. */
export function writeLetter(crypto: Crypto, letter: Letter, keys: SealingKeys): string {
  return armorLetter(crypto, sealLetter(crypto, letter, keys))
}

/** Whether any letter in the text is sealed to one of these X25519 pairs, whatever it says. */
export function isSealedTo(crypto: Crypto, text: string, keyPairs: readonly KeyPair[]): boolean {
  const armored = readArmor(crypto, text)
  if (!armored.ok) return false
  return armored.boxes.some((box) => keyPairs.some((keyPair) => crypto.openSealed(box, keyPair) !== null))
}

/** The letter that is sealed to us, perhaps beside others for others. Never throws, whatever the text. */
export function readLetter(crypto: Crypto, text: string, keys: OpeningKeys): Opened | Refused {
  const armored = readArmor(crypto, text)
  return armored.ok ? openOneOf(crypto, armored.boxes, keys) : armored
}

/** The first of the boxes that is sealed to us. */
export function openOneOf(crypto: Crypto, boxes: readonly Uint8Array[], keys: OpeningKeys): Opened | Refused {
  for (const sealed of boxes) {
    const opened = openLetter(crypto, sealed, keys)
    if (opened.ok || opened.refusal !== 'wrong-key') return opened
  }
  return refuse('wrong-key')
}
