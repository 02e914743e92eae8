// Datagrams larger than one packet, in fragments:
//
//      0              4        5        6
//      +--------------+--------+--------+--------------------------+
//      |  number (4)  |  index |  count |  bytes (1 or more)       |
//      +--------------+--------+--------+--------------------------+
//
// `number` counts the sender's fragmented datagrams. `index` is below `count`, which is 2..64. Fragments may
// arrive in any order. If one is lost, the whole datagram is lost.

import { concatBytes, viewOf } from '../base/bytes.ts'
import { maxDatagramBytes } from './packet-codec.ts'

export const fragmentHeaderBytes = 6
export const maxFragments = 64

/**
 * Bounds on what one peer can make us hold: datagrams, bytes and time. Beyond a bound the oldest datagram is
 * dropped.
 */
export const maxPartialDatagrams = 32
export const maxPartialBytes = 512 * 1024
export const partialMs = 2_000

/**
 * The bodies of the fragments. All but the last fill `bodyBytes`. `bytes`: at most `maxDatagramBytes`, and at
 * most 64 fragments.
 */
export function splitDatagram(number: number, bytes: Uint8Array, bodyBytes: number): Uint8Array[] {
  const payloadBytes = bodyBytes - fragmentHeaderBytes
  const count = Math.ceil(bytes.length / payloadBytes)
  return Array.from({ length: count }, (_, index) => {
    const fragment = bytes.subarray(index * payloadBytes, (index + 1) * payloadBytes)
    const body = new Uint8Array(fragmentHeaderBytes + fragment.length)
    viewOf(body).setUint32(0, number)
    body[4] = index
    body[5] = count
    body.set(fragment, fragmentHeaderBytes)
    return body
  })
}

type PartialDatagram = {
  readonly since: number
  readonly fragments: (Uint8Array | undefined)[]
  missing: number
  bytes: number
}

export class Reassembly {
  /** By number, oldest first. */
  readonly #partial = new Map<number, PartialDatagram>()
  #bytes = 0

  get heldBytes(): number {
    return this.#bytes
  }

  /**
   * The whole datagram when this was its last missing fragment; else null. The caller must not change `body`
   * afterwards.
   */
  take(now: number, body: Uint8Array): Uint8Array | null {
    this.expire(now)
    const index = body[4]
    const count = body[5]
    if (index === undefined || count === undefined || body.length <= fragmentHeaderBytes) return null
    if (count < 2 || count > maxFragments || index >= count) return null
    const number = viewOf(body).getUint32(0)
    const partial = this.#partial.get(number) ?? this.#begin(now, number, count)
    if (partial.fragments.length !== count || partial.fragments[index]) return null
    const fragment = body.subarray(fragmentHeaderBytes)
    partial.fragments[index] = fragment
    partial.missing--
    partial.bytes += fragment.length
    this.#bytes += fragment.length
    if (partial.bytes > maxDatagramBytes) this.#drop(number, partial)
    else if (partial.missing === 0) {
      this.#drop(number, partial)
      return concatBytes(...(partial.fragments as Uint8Array[]))
    } else this.#dropBeyondBounds()
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

  #begin(now: number, number: number, count: number): PartialDatagram {
    const partial = {
      since: now,
      fragments: new Array<undefined>(count).fill(undefined),
      missing: count,
      bytes: 0,
    }
    this.#partial.set(number, partial)
    return partial
  }

  #dropBeyondBounds(): void {
    for (const [number, partial] of this.#partial) {
      if (this.#partial.size <= maxPartialDatagrams && this.#bytes <= maxPartialBytes) return
      this.#drop(number, partial)
    }
  }

  #drop(number: number, partial: PartialDatagram): void {
    this.#partial.delete(number)
    this.#bytes -= partial.bytes
  }
}
