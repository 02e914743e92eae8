import assert from 'node:assert/strict'
import { test } from 'node:test'
import { greatestCommonDivisor } from '../../src/base/greatest-common-divisor.ts'

test('the greatest common divisor divides both, whatever their signs', () => {
  assert.equal(greatestCommonDivisor(-10, 15), 5)
  assert.equal(greatestCommonDivisor(0, -7), 7)
  assert.equal(greatestCommonDivisor(0, 0), 0)
})
