import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BufferPool } from '../../src/base/buffer-pool.ts'

test('chunks of any size are zero when they are taken, and no two share a byte', () => {
  const check = (lengths: readonly number[]) => {
    const bufferPool = new BufferPool()
    const chunks = lengths.map((length) => bufferPool.take(length))
    for (const [index, chunk] of chunks.entries()) {
      assert.equal(chunk.length, lengths[index])
      assert.ok(chunk.every((byte) => byte === 0))
      chunk.fill(index + 1)
    }
    for (const [index, chunk] of chunks.entries())
      assert.ok(chunk.every((byte) => byte === ((index + 1) & 0xff)))
  }
  const sizes = fc.array(fc.oneof(fc.nat(1_500), fc.nat(10_000)), { maxLength: 60 })
  fc.assert(fc.property(sizes, check), { numRuns: 50 })
})
