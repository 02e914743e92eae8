// A host signs that it revoked an invite that it made. Other hosts that accept the invite learn it from this (A13).

import { concatBytes, utf8, viewOf } from '../base/bytes.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { Revocation } from './letter-types.ts'

const domain = utf8('peerpost revocation 1\0')

/** `identity`: the key pair of the host that made the invite. */
export function makeRevocation(
  crypto: Crypto,
  identity: KeyPair,
  terms: Pick<Revocation, 'key' | 'at' | 'until'>,
): Revocation {
  const signature = crypto.sign(revocationBytes(terms), identity.secretKey)
  return { ...terms, host: identity.publicKey, signature }
}

/** Whether the named host signed it. This does not prove that the host made the invite: the invite's grant proves that. */
export function checkRevocation(crypto: Crypto, revocation: Revocation): boolean {
  return crypto.verify(revocation.signature, revocationBytes(revocation), revocation.host)
}

/** All fields have fixed lengths. An invite without an end has the largest 64-bit number. */
function revocationBytes({ key, at, until }: Pick<Revocation, 'key' | 'at' | 'until'>): Uint8Array {
  const instants = new Uint8Array(16)
  viewOf(instants).setBigUint64(0, BigInt(at))
  viewOf(instants).setBigUint64(8, until === undefined ? 2n ** 64n - 1n : BigInt(until))
  return concatBytes(domain, key, instants)
}
