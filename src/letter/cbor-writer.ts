// Writes CBOR in its core deterministic form (RFC 8949 §4.2.1). cborg does the same by way of a token for every value,
// which costs ten times as much as what it writes, on each letter; what letters never hold is left to it.

import { encode, rfc8949EncodeOptions } from 'cborg'
import { compareBytes, utf8 } from '../base/bytes.ts'

const majorTypes = { unsigned: 0, negative: 1, bytes: 2, text: 3, array: 4, map: 5 } as const

/** RFC 8949 §3.3, with their major type of 7. */
const simpleValues = { false: 0xf4, true: 0xf5, null: 0xf6 } as const

/** A letter of a few fields fits; it grows for others. */
const firstBytes = 1024

export class CborWriter {
  #bytes = new Uint8Array(firstBytes)
  #length = 0

  /** A copy of what was written. */
  take(): Uint8Array {
    return this.#bytes.slice(0, this.#length)
  }

  write(value: unknown): void {
    if (typeof value === 'string') this.#text(value)
    else if (typeof value === 'number' && Number.isSafeInteger(value)) this.#integer(value)
    else if (typeof value === 'boolean') this.#byte(value ? simpleValues.true : simpleValues.false)
    else if (value === null) this.#byte(simpleValues.null)
    else if (value instanceof Uint8Array) this.#string(majorTypes.bytes, value)
    else if (Array.isArray(value)) this.#array(value)
    else if (isPlainObject(value)) this.#map(value)
    else this.#append(encode(value, rfc8949EncodeOptions))
  }

  #integer(value: number): void {
    if (value >= 0) this.#head(majorTypes.unsigned, value)
    else this.#head(majorTypes.negative, -1 - value)
  }

  #array(values: readonly unknown[]): void {
    this.#head(majorTypes.array, values.length)
    for (const value of values) this.write(value)
  }

  #map(fields: Readonly<Record<string, unknown>>): void {
    const keys = sortedKeys(fields)
    this.#head(majorTypes.map, keys.length)
    for (const key of keys) {
      this.#text(key)
      this.write(fields[key])
    }
  }

  #text(text: string): void {
    // One pass for ASCII, which nearly everything is; undone at the first other character.
    const { length } = text
    const from = this.#length
    this.#head(majorTypes.text, length)
    this.#reserve(length)
    for (let i = 0; i < length; i++) {
      const unit = text.charCodeAt(i)
      if (unit > 0x7f) {
        this.#length = from
        this.#string(majorTypes.text, utf8(text))
        return
      }
      this.#bytes[this.#length++] = unit
    }
  }

  #string(majorType: number, bytes: Uint8Array): void {
    this.#head(majorType, bytes.length)
    this.#append(bytes)
  }

  /** The major type and its argument in the fewest bytes (§4.2.1). */
  #head(majorType: number, argument: number): void {
    this.#reserve(9)
    const type = majorType << 5
    if (argument < 24) this.#byte(type | argument)
    else if (argument < 2 ** 8) this.#argument(type | 24, argument, 1)
    else if (argument < 2 ** 16) this.#argument(type | 25, argument, 2)
    else if (argument < 2 ** 32) this.#argument(type | 26, argument, 4)
    else this.#argument(type | 27, argument, 8)
  }

  #argument(initial: number, argument: number, size: 1 | 2 | 4 | 8): void {
    this.#byte(initial)
    // By division, since shifts see 32 bits only.
    let rest = argument
    for (let at = this.#length + size - 1; at >= this.#length; at--) {
      this.#bytes[at] = rest % 256
      rest = Math.floor(rest / 256)
    }
    this.#length += size
  }

  #byte(byte: number): void {
    this.#reserve(1)
    this.#bytes[this.#length++] = byte
  }

  #append(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#bytes.set(bytes, this.#length)
    this.#length += bytes.length
  }

  #reserve(more: number): void {
    if (this.#length + more <= this.#bytes.length) return
    const larger = new Uint8Array(Math.max(2 * this.#bytes.length, this.#length + more))
    larger.set(this.#bytes)
    this.#bytes = larger
  }
}

function isPlainObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype
}

/** In the order of their encoded bytes: of two texts the shorter one first, then by their UTF-8. */
function sortedKeys(fields: Readonly<Record<string, unknown>>): readonly string[] {
  const keys = Object.keys(fields)
  // Insertion: a map has few fields, and mostly the same order.
  for (let i = 1; i < keys.length; i++) {
    const key = keys[i] as string
    let at = i
    for (; at > 0 && isBefore(key, keys[at - 1] as string); at--) keys[at] = keys[at - 1] as string
    keys[at] = key
  }
  return keys
}

function isBefore(a: string, b: string): boolean {
  if (isAscii(a) && isAscii(b)) return a.length === b.length ? a < b : a.length < b.length
  const bytesOfA = utf8(a)
  const bytesOfB = utf8(b)
  if (bytesOfA.length !== bytesOfB.length) return bytesOfA.length < bytesOfB.length
  return compareBytes(bytesOfA, bytesOfB) < 0
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false
  return true
}
