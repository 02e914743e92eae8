import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes } from '../../src/base/bytes.ts'
import {
  creditRecord,
  dataHeader,
  endRecord,
  RecordReader,
  resetRecord,
  type StreamRecord,
} from '../../src/forward/streams/flow-control-records.ts'

const data = fc.uint8Array({ minLength: 1, maxLength: 300 })
const records: fc.Arbitrary<StreamRecord> = fc.oneof(
  data.map((bytes) => ({ kind: 'data' as const, bytes })),
  fc.integer({ min: 1, max: 0xffffffff }).map((bytes) => ({ kind: 'credit' as const, bytes })),
  fc.constant({ kind: 'end' as const }),
  fc.constant({ kind: 'reset' as const }),
)

function encode(record: StreamRecord): Uint8Array {
  if (record.kind === 'credit') return creditRecord(record.bytes)
  if (record.kind === 'reset') return resetRecord()
  return record.kind === 'end' ? endRecord() : concatBytes(dataHeader(record.bytes.length), record.bytes)
}

/** Cuts `bytes` into chunks at `cuts`. */
function cut(bytes: Uint8Array, cuts: readonly number[]): Uint8Array[] {
  const positions = [...new Set([0, ...cuts.map((at) => at % (bytes.length + 1)), bytes.length])].sort(
    (a, b) => a - b,
  )
  return positions.slice(1).map((to, index) => bytes.subarray(positions[index], to))
}

/** Merges adjacent data records. */
function merged(all: readonly StreamRecord[]): StreamRecord[] {
  const result: StreamRecord[] = []
  for (const record of all) {
    const last = result.at(-1)
    if (record.kind === 'data' && last?.kind === 'data')
      result[result.length - 1] = { kind: 'data', bytes: concatBytes(last.bytes, record.bytes) }
    else result.push(record)
  }
  return result
}

test('decoding gives the encoded records, however the bytes are cut', () => {
  const check = (sent: StreamRecord[], cuts: number[]) => {
    const reader = new RecordReader()
    const got: StreamRecord[] = []
    for (const chunk of cut(concatBytes(...sent.map(encode)), cuts)) {
      const read = reader.read(chunk)
      assert.ok(read)
      got.push(...read)
    }
    assert.deepEqual(merged(got), merged(sent))
  }
  fc.assert(
    fc.property(fc.array(records, { maxLength: 12 }), fc.array(fc.nat(5_000), { maxLength: 40 }), check),
  )
})

test('records have the documented layout', () => {
  assert.deepEqual(dataHeader(0x1234), Uint8Array.of(1, 0x12, 0x34))
  assert.deepEqual(creditRecord(0x01020304), Uint8Array.of(2, 0, 4, 1, 2, 3, 4))
  assert.deepEqual(endRecord(), Uint8Array.of(3, 0, 0))
  assert.deepEqual(resetRecord(), Uint8Array.of(4, 0, 0))
})

test('an invalid record ends the parsing for good', () => {
  for (const bytes of [
    [0, 0, 1],
    [5, 0, 0],
    [4, 0, 1],
    [1, 0, 0],
    [2, 0, 3],
    [2, 0, 4, 0, 0, 0, 0],
    [3, 0, 1],
  ]) {
    const reader = new RecordReader()
    assert.equal(reader.read(Uint8Array.from(bytes)), null)
    assert.equal(reader.read(endRecord()), null)
  }
})

test('for any bytes, no more data is returned than was put in', () => {
  const check = (chunks: Uint8Array[]) => {
    const reader = new RecordReader()
    let [given, taken] = [0, 0]
    for (const chunk of chunks) {
      given += chunk.length
      for (const record of reader.read(chunk) ?? []) if (record.kind === 'data') taken += record.bytes.length
    }
    assert.ok(taken <= given)
  }
  fc.assert(fc.property(fc.array(fc.uint8Array({ maxLength: 40 }), { maxLength: 20 }), check), {
    numRuns: 1_000,
  })
})
