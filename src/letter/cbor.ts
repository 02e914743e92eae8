// CBOR for letters and invites: only the core deterministic encoding of RFC 8949 §4.2.1. Each value has exactly one
// encoding, so two readers never understand the same bytes differently.

import { decode, encode, type Token, Tokenizer } from 'cborg'
import { equalBytes } from '../base/bytes.ts'
import { limits } from './limits.ts'

const decodeOptions = {
  strict: true,
  allowIndefinite: false,
  allowUndefined: false,
  allowInfinity: false,
  allowNaN: false,
  allowBigInt: false,
  rejectDuplicateMapKeys: true,
}

const refusedTypes: ReadonlySet<string> = new Set(['float', 'tag', 'undefined', 'break'])

/** Checks depth and item counts before any value is built, so a hostile letter costs little. */
class BoundedTokenizer extends Tokenizer {
  /** How many items each open array or map still needs. At most `limits.cborDepth` arrays and maps are open. */
  readonly #remaining: number[] = []

  override next(): Token {
    const token = super.next()
    const type = token.type.name
    if (refusedTypes.has(type)) throw new Error(`CBOR ${type} is not allowed in a letter`)
    const open = this.#remaining
    if (open.length > 0) open.push((open.pop() as number) - 1)
    if (type === 'array' || type === 'map') {
      if (token.value > limits.cborItems || open.length === limits.cborDepth) {
        throw new Error('CBOR exceeds the limits of a letter')
      }
      open.push(type === 'map' ? 2 * token.value : token.value)
    }
    while (open.at(-1) === 0) open.pop()
    return token
  }
}

export function encodeCbor(value: unknown): Uint8Array {
  // cborg sorts map keys in the order of RFC 7049 by default, at half the cost of RFC 8949's. All our keys are texts, and
  // for texts the two orders are the same.
  return encode(value)
}

/** Returns undefined if the bytes are not the deterministic encoding of one value. No valid value is undefined. */
export function decodeCbor(bytes: Uint8Array): unknown {
  try {
    // From a Buffer, cborg would make byte strings that are Buffers.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const value: unknown = decode(plain, {
      ...decodeOptions,
      tokenizer: new BoundedTokenizer(plain, decodeOptions),
    })
    // cborg accepts wrong map order and invalid UTF-8. Encoding the value again shows both.
    return equalBytes(encodeCbor(value), plain) ? value : undefined
  } catch {
    return undefined
  }
}
