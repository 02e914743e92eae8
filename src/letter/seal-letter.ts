// Seals a letter to its recipient and opens it. A letter is signed, then padded, then sealed with crypto_box_seal.

import { equalBytes } from '../base/bytes.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import type { Letter, UserId } from './letter-types.ts'
import { limits, paddingStepsBytes } from './limits.ts'
import { type Refused, refuse } from './refusal.ts'
import { hasGoodSignature, readSigned, signLetter } from './signature.ts'

export type SealingKeys = {
  /** The Ed25519 key pair of the letter's `from`. */
  readonly identity: KeyPair
  /** X25519 public key: the sealing key of a host, or the session key of the request that the letter answers. */
  readonly recipientKey: Uint8Array
}

export type OpeningKeys = {
  /** The reader's own Ed25519 public key. */
  readonly identity: UserId
  /** X25519 key pairs that the letter may be sealed to. The first `limits.keyPairsTried` are tried in order. */
  readonly keyPairs: readonly KeyPair[]
}

export type Opened = {
  readonly ok: true
  readonly letter: Letter
  /** Length, body and signature. A host can pass on a request in this form in a table letter. */
  readonly signed: Uint8Array
  /** The key pair that opened it. */
  readonly keyPair: KeyPair
}

/** Throws a Problem (`internal`) if the letter exceeds the limits or `keys.identity` is not its sender. */
export function sealLetter(crypto: Crypto, letter: Letter, keys: SealingKeys): Uint8Array {
  if (!equalBytes(letter.from, keys.identity.publicKey)) {
    throw new Problem('internal', 'A letter was signed with the wrong key.', 'Please report this.')
  }
  const signed = signLetter(crypto, letter, keys.identity)
  const step = paddingStepsBytes.find((bytes) => bytes > signed.length) ?? limits.openedBytes
  return crypto.seal(crypto.pad(signed, step), keys.recipientKey)
}

/** Never throws. The cheap checks come first. A stranger learns nothing from a refusal, because no refusal is answered. */
export function openLetter(crypto: Crypto, sealed: Uint8Array, keys: OpeningKeys): Opened | Refused {
  if (sealed.length > limits.sealedBytes) return refuse('too-big')
  const opened = openWithAny(crypto, sealed, keys.keyPairs)
  if (!opened) return refuse('wrong-key')
  const { padded, keyPair } = opened
  if (!paddingStepsBytes.includes(padded.length)) return refuse('malformed')
  const signed = crypto.unpad(padded, padded.length)
  if (!signed) return refuse('malformed')
  const read = readSigned(signed)
  if (!read.ok) return read
  if (!equalBytes(read.letter.to, keys.identity)) return refuse('misdirected')
  if (!hasGoodSignature(crypto, read)) return refuse('unsigned')
  // A copy, since the unpadded bytes may be a view of the whole padded letter.
  return { ok: true, letter: read.letter, signed: signed.slice(), keyPair }
}

function openWithAny(crypto: Crypto, sealed: Uint8Array, keyPairs: readonly KeyPair[]) {
  for (const keyPair of keyPairs.slice(0, limits.keyPairsTried)) {
    const padded = crypto.openSealed(sealed, keyPair)
    if (padded) return { padded, keyPair }
  }
  return null
}
