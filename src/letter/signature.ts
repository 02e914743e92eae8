// A signed letter: length, body and signature in one frame. Hosts pass on requests in this form in table letters.
//
//   0        2                2+n            2+n+64
//   +--------+----------------+--------------+
//   | n (BE) | body, n bytes  | Ed25519      |   signature over "peerpost letter 1" NUL ‖ body
//   +--------+----------------+--------------+

import { concatBytes, utf8, viewOf } from '../base/bytes.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { decodeLetter, encodeLetter } from './letter-codec.ts'
import type { LeaveLetter, Letter, RequestLetter } from './letter-types.ts'
import { limits } from './limits.ts'
import { type Refused, refuse } from './refusal.ts'

const domain = utf8('peerpost letter 1\0')

type SignedLetter = {
  readonly letter: Letter
  readonly body: Uint8Array
  readonly signature: Uint8Array
}

export function signLetter(crypto: Crypto, letter: Letter, identity: KeyPair): Uint8Array {
  const body = encodeLetter(letter)
  const signature = crypto.sign(concatBytes(domain, body), identity.secretKey)
  return concatBytes(Uint8Array.of(body.length >> 8, body.length & 0xff), body, signature)
}

/** Decodes the letter, but does not check the signature. */
export function readSigned(signed: Uint8Array): ({ readonly ok: true } & SignedLetter) | Refused {
  const bodyLength = signed.length - 2 - limits.signatureBytes
  if (bodyLength < 0 || viewOf(signed).getUint16(0) !== bodyLength) return refuse('malformed')
  const body = signed.subarray(2, 2 + bodyLength)
  const decoded = decodeLetter(body)
  if (!decoded.ok) return decoded
  return { ok: true, letter: decoded.letter, body, signature: signed.subarray(2 + bodyLength) }
}

export function hasGoodSignature(crypto: Crypto, { letter, body, signature }: SignedLetter): boolean {
  return crypto.verify(signature, concatBytes(domain, body), letter.from)
}

/**
 * Checks a statement of a table letter (A13): that it is a request or leave letter with a valid signature. The caller checks
 * the recipient, and the membership of the sender by `checkProof`.
 */
export function verifyStatement(
  crypto: Crypto,
  signed: Uint8Array,
): { readonly ok: true; readonly letter: RequestLetter | LeaveLetter } | Refused {
  if (signed.length > limits.signedRequestBytes) return refuse('too-big')
  const read = readSigned(signed)
  if (!read.ok) return read
  const { letter } = read
  if (letter.kind !== 'request' && letter.kind !== 'leave') return refuse('malformed')
  return hasGoodSignature(crypto, read) ? { ok: true, letter } : refuse('unsigned')
}
