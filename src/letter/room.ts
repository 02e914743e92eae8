// What a room's 32-byte secret yields, and the proof of knowing it. The host sees the tag and the proofs only.

import { concatBytes, utf8 } from '../base/bytes.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { RequestLetter, RoomTag } from './kinds.ts'

export type RoomKeys = {
  /** Public half of `proofKeyPair`: names the room to hosts. */
  readonly tag: RoomTag
  readonly proofKeyPair: KeyPair
  /** 32 bytes that agents mix into the keys of their links; no host can compute it. */
  readonly linkSecret: Uint8Array
}

const proofDomain = utf8('peerpost room proof 1\0')

export function roomKeys(crypto: Crypto, secret: Uint8Array): RoomKeys {
  const seed = crypto.derive(secret, 'pp-proof', 1)
  const proofKeyPair = crypto.signKeyPair(seed)
  crypto.wipe(seed)
  return { tag: proofKeyPair.publicKey, proofKeyPair, linkSecret: crypto.derive(secret, 'pp-links', 1) }
}

type Proven = Pick<RequestLetter, 'from' | 'to' | 'id' | 'session'>

/** All fields have fixed lengths, so that the bytes read one way only. */
function provenBytes({ from, to, id, session }: Proven): Uint8Array {
  return concatBytes(proofDomain, from, to, id, session.id, session.publicKey)
}

/** The `proof` of a request: bound to its sender, host, ID and session, so that a host cannot use it again. */
export function proveMembership(crypto: Crypto, keys: RoomKeys, proven: Proven): Uint8Array {
  return crypto.sign(provenBytes(proven), keys.proofKeyPair.secretKey)
}

/** Whether the sender of a request knew the secret behind the room tag in it. */
export function checkProof(crypto: Crypto, letter: RequestLetter): boolean {
  return crypto.verify(letter.proof, provenBytes(letter), letter.room)
}
