// Datagrams larger than the path carries, in parts:
//
//      0              4        5        6
//      +--------------+--------+--------+--------------------------+
//      |  number (4)  |  index |  count |  bytes (1 or more)       |
//      +--------------+--------+--------+--------------------------+
//
// `number` counts the sender's datagrams in parts; `index` is below `count`, which is 2..64. The parts may come in any
// order; when one is lost the datagram is, as it would be in one piece.

import { concatBytes, viewOf } from '../base/bytes.ts'
import { maxDatagramBytes } from './packet-codec.ts'

export const partHeaderBytes = 6
export const maxParts = 64

/** What one peer can make us hold: so many datagrams, so many bytes, for so long. At a bound the oldest goes. */
export const maxPartial = 32
export const maxPartialBytes = 512 * 1024
export const partialMs = 2_000

/** The bodies of `bytes` in parts that fill `bodyBytes`, but the last. At most `maxDatagramBytes` in at most 64 parts. */
export function splitDatagram(number: number, bytes: Uint8Array, bodyBytes: number): Uint8Array[] {
  const room = bodyBytes - partHeaderBytes
  const count = Math.ceil(bytes.length / room)
  return Array.from({ length: count }, (_, index) => {
    const part = bytes.subarray(index * room, (index + 1) * room)
    const body = new Uint8Array(partHeaderBytes + part.length)
    viewOf(body).setUint32(0, number)
    body[4] = index
    body[5] = count
    body.set(part, partHeaderBytes)
    return body
  })
}

type Partial = {
  readonly since: number
  readonly parts: (Uint8Array | undefined)[]
  missing: number
  bytes: number
}

export class Reassembly {
  /** By number, the oldest first. */
  readonly #partial = new Map<number, Partial>()
  #bytes = 0

  get heldBytes(): number {
    return this.#bytes
  }

  /** The whole datagram when this was its last part. `body` must stay as it is. */
  take(now: number, body: Uint8Array): Uint8Array | null {
    this.expire(now)
    const index = body[4]
    const count = body[5]
    if (index === undefined || count === undefined || body.length <= partHeaderBytes) return null
    if (count < 2 || count > maxParts || index >= count) return null
    const number = viewOf(body).getUint32(0)
    const partial = this.#partial.get(number) ?? this.#begin(now, number, count)
    if (partial.parts.length !== count || partial.parts[index]) return null
    const part = body.subarray(partHeaderBytes)
    partial.parts[index] = part
    partial.missing--
    partial.bytes += part.length
    this.#bytes += part.length
    if (partial.bytes > maxDatagramBytes) this.#drop(number, partial)
    else if (partial.missing === 0) {
      this.#drop(number, partial)
      return concatBytes(...(partial.parts as Uint8Array[]))
    } else this.#keepBounds()
    return null
  }

  expire(now: number): void {
    for (const [number, partial] of this.#partial) {
      if (now - partial.since < partialMs) return
      this.#drop(number, partial)
    }
  }

  clear(): void {
    this.#partial.clear()
    this.#bytes = 0
  }

  #begin(now: number, number: number, count: number): Partial {
    const partial = {
      since: now,
      parts: new Array<undefined>(count).fill(undefined),
      missing: count,
      bytes: 0,
    }
    this.#partial.set(number, partial)
    return partial
  }

  #keepBounds(): void {
    for (const [number, partial] of this.#partial) {
      if (this.#partial.size <= maxPartial && this.#bytes <= maxPartialBytes) return
      this.#drop(number, partial)
    }
  }

  #drop(number: number, partial: Partial): void {
    this.#partial.delete(number)
    this.#bytes -= partial.bytes
  }
}
