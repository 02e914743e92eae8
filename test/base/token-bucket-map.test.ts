import assert from 'node:assert/strict'
import { test } from 'node:test'
import { TokenBucketMap } from '../../src/base/token-bucket-map.ts'

test('each has a bucket of its own, and the map never holds more than it may', () => {
  const map = new TokenBucketMap({ burst: 1, perSecond: 1 }, 2)
  assert.equal(map.of('a', 0).tryTake(0), true)
  assert.equal(map.of('b', 0).tryTake(0), true)
  assert.equal(map.of('a', 0).tryTake(0), false)
  // b was asked for longest ago: it is forgotten, a is not.
  assert.equal(map.of('c', 0).tryTake(0), true)
  assert.equal(map.of('a', 0).tryTake(0), false)
  assert.equal(map.of('b', 0).tryTake(0), true)
  assert.equal(map.size, 2)
})
