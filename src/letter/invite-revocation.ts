// The word of a host that an invite it made is over, for hosts that let in by it (A13).

import { concatBytes, utf8, viewOf } from '../base/bytes.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { Revocation } from './letter-types.ts'

const domain = utf8('peerpost revocation 1\0')

/** `identity`: of the host that made the invite. */
export function makeRevocation(
  crypto: Crypto,
  identity: KeyPair,
  terms: Pick<Revocation, 'key' | 'at' | 'until'>,
): Revocation {
  const signature = crypto.sign(revokedBytes(terms), identity.secretKey)
  return { ...terms, host: identity.publicKey, signature }
}

/** Whether its host signed it. Whether that host made the invite only the invite's grant tells. */
export function checkRevocation(crypto: Crypto, revocation: Revocation): boolean {
  return crypto.verify(revocation.signature, revokedBytes(revocation), revocation.host)
}

/** All fields have fixed lengths. No end is the last of numbers. */
function revokedBytes({ key, at, until }: Pick<Revocation, 'key' | 'at' | 'until'>): Uint8Array {
  const instants = new Uint8Array(16)
  viewOf(instants).setBigUint64(0, BigInt(at))
  viewOf(instants).setBigUint64(8, until === undefined ? 2n ** 64n - 1n : BigInt(until))
  return concatBytes(domain, key, instants)
}
