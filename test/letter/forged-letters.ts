// Makes letters that the program would never write, from the description of the protocol alone.

import { concatBytes, utf8 } from '../../src/base/bytes.ts'
import type { KeyPair } from '../../src/base/crypto.ts'
import { decodeCbor, encodeCbor } from '../../src/letter/cbor.ts'
import { encodeLetter } from '../../src/letter/letter-codec.ts'
import type { Letter } from '../../src/letter/letter-types.ts'
import * as fixtures from './fixtures.ts'

export type Wire = Record<string, unknown>

/** A letter's body as a plain object that a test can change. */
export function wireOf(letter: Letter): Wire {
  return { ...(decodeCbor(encodeLetter(letter)) as Wire) }
}

export function forgeSigned(body: Uint8Array, signer: KeyPair): Uint8Array {
  const signature = fixtures.crypto.sign(concatBytes(utf8('peerpost letter 1\0'), body), signer.secretKey)
  return concatBytes(Uint8Array.of(body.length >> 8, body.length & 0xff), body, signature)
}

/** Signed, padded to 1 KiB and sealed to the host. */
export function forgeSealed(body: Uint8Array, signer: KeyPair = fixtures.anna): Uint8Array {
  return fixtures.crypto.seal(
    fixtures.crypto.pad(forgeSigned(body, signer), 1024),
    fixtures.hostSealing.publicKey,
  )
}

export function forgeFrom(wire: Wire, signer: KeyPair = fixtures.anna): Uint8Array {
  return forgeSealed(encodeCbor(wire), signer)
}
