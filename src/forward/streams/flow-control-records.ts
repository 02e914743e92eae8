// What a stream carries in each direction, in order and complete:
//
//      0        1             3
//      +--------+-------------+-----------------------------------------------+
//      |  kind  | length (2)  |  body                                         |
//      +--------+-------------+-----------------------------------------------+
//      kind 1 data     1..65535 bytes of the TCP connection
//      kind 2 credit   4 bytes: so many more bytes of data may be sent
//      kind 3 end      empty: no more data this way (TCP's FIN)
//      kind 4 reset    empty: the TCP connection broke after this
//
// Big-endian. Credit makes back-pressure reach from one end to the other: a side sends no more data than the other said it
// would hold, `initialCredit` at first.

import { concatBytes, viewOf } from '../../base/bytes.ts'

export const initialCreditBytes = 65_536
export const maxDataBytes = 65_535
const recordHeaderBytes = 3

export type StreamRecord =
  | { readonly kind: 'data'; readonly bytes: Uint8Array }
  | { readonly kind: 'credit'; readonly bytes: number }
  | { readonly kind: 'end' }
  | { readonly kind: 'reset' }

const kinds = { data: 1, credit: 2, end: 3, reset: 4 } as const
const creditBodyBytes = 4

/** The header of a data record; the data follow. `length` is 1..65535. */
export function dataHeader(length: number): Uint8Array {
  return Uint8Array.of(kinds.data, length >> 8, length & 0xff)
}

/** `bytes` is 1..2^32 - 1. */
export function creditRecord(bytes: number): Uint8Array {
  const record = new Uint8Array(recordHeaderBytes + creditBodyBytes)
  record[0] = kinds.credit
  record[2] = creditBodyBytes
  viewOf(record).setUint32(recordHeaderBytes, bytes)
  return record
}

export function endRecord(): Uint8Array {
  return Uint8Array.of(kinds.end, 0, 0)
}

export function resetRecord(): Uint8Array {
  return Uint8Array.of(kinds.reset, 0, 0)
}

/** Reads records from pieces of any size. Data come as soon as they are there, in parts of a record too. */
export class RecordReader {
  /** A begun header or credit: less than 7 bytes. */
  #begun: Uint8Array = new Uint8Array(0)
  /** Of the present data record, still to come. */
  #dataLeft = 0
  #broken = false

  /** Null once what came is no record; then for ever. Data are views of `piece`. */
  read(piece: Uint8Array): StreamRecord[] | null {
    if (this.#broken) return null
    const records: StreamRecord[] = []
    let rest = piece
    while (rest.length > 0) {
      if (this.#dataLeft > 0) {
        const bytes = rest.subarray(0, this.#dataLeft)
        this.#dataLeft -= bytes.length
        rest = rest.subarray(bytes.length)
        records.push({ kind: 'data', bytes })
        continue
      }
      const missing = this.#missing()
      const part = rest.subarray(0, missing)
      this.#begun = concatBytes(this.#begun, part)
      rest = rest.subarray(part.length)
      if (part.length < missing) break
      const record = this.#complete()
      if (record === 'broken') {
        this.#broken = true
        return null
      }
      if (record) records.push(record)
    }
    return records
  }

  #missing(): number {
    const isCredit = this.#begun[0] === kinds.credit && this.#begun.length >= recordHeaderBytes
    return recordHeaderBytes + (isCredit ? creditBodyBytes : 0) - this.#begun.length
  }

  /** What the bytes begun amount to; null when more must come. */
  #complete(): StreamRecord | 'broken' | null {
    const begun = this.#begun
    const length = viewOf(begun).getUint16(1)
    if (begun[0] === kinds.credit) {
      if (length !== creditBodyBytes) return 'broken'
      if (begun.length === recordHeaderBytes) return null
      const bytes = viewOf(begun).getUint32(recordHeaderBytes)
      this.#begun = new Uint8Array(0)
      return bytes === 0 ? 'broken' : { kind: 'credit', bytes }
    }
    this.#begun = new Uint8Array(0)
    if (begun[0] === kinds.end) return length === 0 ? { kind: 'end' } : 'broken'
    if (begun[0] === kinds.reset) return length === 0 ? { kind: 'reset' } : 'broken'
    if (begun[0] !== kinds.data || length === 0) return 'broken'
    this.#dataLeft = length
    return null
  }
}
