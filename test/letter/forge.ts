// Letters that the product would never write, put together here by the protocol's description alone.

import { concatBytes, utf8 } from '../../src/base/bytes.ts'
import type { KeyPair } from '../../src/base/crypto.ts'
import { decodeCbor, encodeCbor } from '../../src/letter/cbor.ts'
import { encodeLetter } from '../../src/letter/letter-codec.ts'
import type { Letter } from '../../src/letter/letter-types.ts'
import * as cast from './cast.ts'

export type Wire = Record<string, unknown>

/** A letter's body as a plain object, to be spoiled. */
export function wireOf(letter: Letter): Wire {
  return { ...(decodeCbor(encodeLetter(letter)) as Wire) }
}

export function forgeSigned(body: Uint8Array, signer: KeyPair): Uint8Array {
  const signature = cast.crypto.sign(concatBytes(utf8('peerpost letter 1\0'), body), signer.secretKey)
  return concatBytes(Uint8Array.of(body.length >> 8, body.length & 0xff), body, signature)
}

/** Signed, padded to 1 KiB and sealed to the host. */
export function forgeSealed(body: Uint8Array, signer: KeyPair = cast.anna): Uint8Array {
  return cast.crypto.seal(cast.crypto.pad(forgeSigned(body, signer), 1024), cast.hostSealing.publicKey)
}

export function forgeFrom(wire: Wire, signer: KeyPair = cast.anna): Uint8Array {
  return forgeSealed(encodeCbor(wire), signer)
}
