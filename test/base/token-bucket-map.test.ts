import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenBucketMap } from '../../src/base/token-bucket-map.ts'

test('each key has its own bucket, and the map never exceeds its capacity', () => {
  const map = new TokenBucketMap({ burst: 1, perSecond: 1 }, 2)
  assert.equal(map.of('a', 0).tryTake(0), true)
  assert.equal(map.of('b', 0).tryTake(0), true)
  assert.equal(map.of('a', 0).tryTake(0), false)
  // b is the least recently used key: it is removed, and a stays.
  assert.equal(map.of('c', 0).tryTake(0), true)
  assert.equal(map.of('a', 0).tryTake(0), false)
  assert.equal(map.of('b', 0).tryTake(0), true)
  assert.equal(map.size, 2)
})
