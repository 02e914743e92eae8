// CBOR as letters and invites use it: the core deterministic encoding of RFC 8949 §4.2.1 and nothing else.
// Every value has exactly one form, so two readers never see different things in the same bytes.

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

/** Bounds depth and breadth before anything is built, so that the cost of a hostile letter stays small. */
class BoundedTokenizer extends Tokenizer {
  /** Items still to come in each open array or map; at most `limits.cborDepth` of them. */
  readonly #remaining: number[] = []

  override next(): Token {
    const token = super.next()
    const type = token.type.name
    if (refusedTypes.has(type)) throw new Error(`CBOR ${type} has no place in a letter`)
    const open = this.#remaining
    if (open.length > 0) open.push((open.pop() as number) - 1)
    if (type === 'array' || type === 'map') {
      if (token.value > limits.cborItems || open.length === limits.cborDepth) {
        throw new Error('CBOR beyond the limits of a letter')
      }
      open.push(type === 'map' ? 2 * token.value : token.value)
    }
    while (open.at(-1) === 0) open.pop()
    return token
  }
}

export function encodeCbor(value: unknown): Uint8Array {
  // Of two texts the shorter one comes first in RFC 8949's order as in RFC 7049's, which is cborg's default and costs
  // half as much; and keys of other types there are none.
  return encode(value)
}

/** Undefined (which CBOR here cannot hold) for anything but the one deterministic form of one value. */
export function decodeCbor(bytes: Uint8Array): unknown {
  try {
    // A plain view: the bytes of a Buffer would decode to Buffers.
    const plain = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    const value: unknown = decode(plain, {
      ...decodeOptions,
      tokenizer: new BoundedTokenizer(plain, decodeOptions),
    })
    // cborg lets map order and ill-formed UTF-8 pass; writing the value again shows both.
    return equalBytes(encodeCbor(value), plain) ? value : undefined
  } catch {
    return undefined
  }
}
