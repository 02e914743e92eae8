import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Endpoint, formatEndpoint, parseEndpoint } from '../../src/base/endpoint.ts'
import { planEndpoints } from '../../src/stun-server/alternate-addresses.ts'

function endpoints(...texts: string[]): Endpoint[] {
  return texts.map((text) => {
    // parseEndpoint refuses port 0, which means any port here.
    const endpoint = parseEndpoint(text.replace(/:0$/, ':1'))
    assert.ok(endpoint, text)
    return text.endsWith(':0') ? { ...endpoint, port: 0 } : endpoint
  })
}

const plannedFor = (...texts: string[]) => planEndpoints(endpoints(...texts)).endpoints.map(formatEndpoint)
const familiesOf = (...texts: string[]) => [...planEndpoints(endpoints(...texts)).alternates.keys()]

test('two addresses with different ports are completed to four endpoints', () => {
  assert.deepEqual(plannedFor('192.0.2.1:3478', '192.0.2.2:3479'), [
    '192.0.2.1:3478',
    '192.0.2.2:3479',
    '192.0.2.1:3479',
    '192.0.2.2:3478',
  ])
  assert.deepEqual(familiesOf('192.0.2.1:3478', '192.0.2.2:3479'), [4])
})

test('all four endpoints may be named, in any order, and nothing is added', () => {
  const all = ['192.0.2.2:3479', '192.0.2.1:3478', '192.0.2.1:3479', '192.0.2.2:3478']
  assert.deepEqual(plannedFor(...all), all)
  assert.deepEqual(familiesOf(...all), [4])
})

test('each family has its own alternate addresses', () => {
  const both = ['192.0.2.1:3478', '[2001:db8::1]:3478', '192.0.2.2:3479', '[2001:db8::2]:3479']
  assert.deepEqual(familiesOf(...both), [4, 6])
  assert.equal(plannedFor(...both).length, 8)
  assert.deepEqual(familiesOf('192.0.2.1:3478', '[2001:db8::1]:3479'), [])
})

test('anything but two addresses and two ports is opened as it is', () => {
  for (const listen of [
    ['192.0.2.1:3478'],
    ['192.0.2.1:3478', '192.0.2.1:3479'],
    ['192.0.2.1:3478', '192.0.2.2:3478'],
    ['192.0.2.1:3478', '192.0.2.2:3479', '192.0.2.3:3478'],
    ['192.0.2.1:3478', '192.0.2.2:3479', '192.0.2.1:3480'],
    ['0.0.0.0:3478', '192.0.2.2:3479'],
    ['[::]:3478', '[2001:db8::2]:3479'],
    ['127.0.0.1:0', '127.0.0.2:3479'],
  ]) {
    assert.deepEqual(plannedFor(...listen), listen)
    assert.deepEqual(familiesOf(...listen), [])
  }
})
