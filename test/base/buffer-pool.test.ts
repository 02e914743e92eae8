import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BufferPool } from '../../src/base/buffer-pool.ts'

test('pieces of any size are zero when they are taken, and no two share a byte', () => {
  const check = (lengths: readonly number[]) => {
    const bufferPool = new BufferPool()
    const pieces = lengths.map((length) => bufferPool.take(length))
    for (const [index, piece] of pieces.entries()) {
      assert.equal(piece.length, lengths[index])
      assert.ok(piece.every((byte) => byte === 0))
      piece.fill(index + 1)
    }
    for (const [index, piece] of pieces.entries())
      assert.ok(piece.every((byte) => byte === ((index + 1) & 0xff)))
  }
  const sizes = fc.array(fc.oneof(fc.nat(1_500), fc.nat(10_000)), { maxLength: 60 })
  fc.assert(fc.property(sizes, check), { numRuns: 50 })
})
