// The records that a stream carries in each direction, in order and without loss:
//
//      0        1             3
//      +--------+-------------+-----------------------------------------------+
//      |  kind  | length (2)  |  body                                         |
//      +--------+-------------+-----------------------------------------------+
//      kind 1 data     1..65535 bytes of the TCP connection
//      kind 2 credit   4 bytes: how many more bytes of data the other side may send
//      kind 3 end      empty: no more data in this direction (TCP's FIN)
//      kind 4 reset    empty: the TCP connection broke after this
//
// Big-endian. Credit provides back-pressure from end to end: a side sends only as much data as the other gave credit for.
// Both start with `initialCreditBytes`.

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

/** The header of a data record. The data follow it. `length` is 1..65535. */
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

/** Parses records from chunks of any size. Data are returned as they arrive, even if the record is incomplete. */
export class RecordReader {
  /** The start of a header or credit record: less than 7 bytes. */
  #partial: Uint8Array = new Uint8Array(0)
  /** Missing bytes of the current data record. */
  #missingDataBytes = 0
  #broken = false

  /** Returns null after the first invalid record, and from then on always. Data are views of `chunk`. */
  read(chunk: Uint8Array): StreamRecord[] | null {
    if (this.#broken) return null
    const records: StreamRecord[] = []
    let rest = chunk
    while (rest.length > 0) {
      if (this.#missingDataBytes > 0) {
        const bytes = rest.subarray(0, this.#missingDataBytes)
        this.#missingDataBytes -= bytes.length
        rest = rest.subarray(bytes.length)
        records.push({ kind: 'data', bytes })
        continue
      }
      const missingBytes = this.#missingHeaderBytes()
      const part = rest.subarray(0, missingBytes)
      this.#partial = concatBytes(this.#partial, part)
      rest = rest.subarray(part.length)
      if (part.length < missingBytes) break
      const record = this.#decodePartial()
      if (record === 'broken') {
        this.#broken = true
        return null
      }
      if (record) records.push(record)
    }
    return records
  }

  #missingHeaderBytes(): number {
    const isCredit = this.#partial[0] === kinds.credit && this.#partial.length >= recordHeaderBytes
    return recordHeaderBytes + (isCredit ? creditBodyBytes : 0) - this.#partial.length
  }

  /** Decodes the buffered bytes. Null when more bytes are needed or only data follow. */
  #decodePartial(): StreamRecord | 'broken' | null {
    const partial = this.#partial
    const length = viewOf(partial).getUint16(1)
    if (partial[0] === kinds.credit) {
      if (length !== creditBodyBytes) return 'broken'
      if (partial.length === recordHeaderBytes) return null
      const bytes = viewOf(partial).getUint32(recordHeaderBytes)
      this.#partial = new Uint8Array(0)
      return bytes === 0 ? 'broken' : { kind: 'credit', bytes }
    }
    this.#partial = new Uint8Array(0)
    if (partial[0] === kinds.end) return length === 0 ? { kind: 'end' } : 'broken'
    if (partial[0] === kinds.reset) return length === 0 ? { kind: 'reset' } : 'broken'
    if (partial[0] !== kinds.data || length === 0) return 'broken'
    this.#missingDataBytes = length
    return null
  }
}
