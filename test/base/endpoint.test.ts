import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  addressScope,
  canonicalAddress,
  decodeEndpoint,
  encodeEndpoint,
  formatEndpoint,
  makeEndpoint,
  parseEndpoint,
  sharePrefix,
} from '../../src/base/endpoint.ts'

const endpoints = fc
  .tuple(fc.oneof(fc.ipV4(), fc.ipV6()), fc.integer({ min: 1, max: 65535 }))
  .map(([address, port]) => makeEndpoint(address, port))
  .filter((endpoint) => endpoint !== null)

test('an endpoint is the same after formatting and parsing, and after encoding and decoding', () => {
  fc.assert(
    fc.property(endpoints, (endpoint) => {
      assert.deepEqual(parseEndpoint(formatEndpoint(endpoint)), endpoint)
      assert.deepEqual(decodeEndpoint(encodeEndpoint(endpoint)), endpoint)
    }),
  )
})

test('any text and any bytes give an endpoint or null, and never an error', () => {
  fc.assert(fc.property(fc.string({ unit: 'binary' }), (text) => void parseEndpoint(text)))
  fc.assert(fc.property(fc.uint8Array({ maxLength: 20 }), (bytes) => void decodeEndpoint(bytes)))
  for (const text of [
    '',
    '1.2.3.4',
    '1.2.3.4:0',
    '1.2.3.4:65536',
    '01.2.3.4:5',
    '1.2.3:5',
    '[::1%eth0]:5',
    'x:5',
  ]) {
    assert.equal(parseEndpoint(text), null, text)
  }
})

test('an IPv4-mapped IPv6 address becomes the IPv4 address', () => {
  assert.equal(canonicalAddress('::ffff:192.0.2.1'), '192.0.2.1')
  assert.equal(canonicalAddress('2001:DB8:0:0::1'), '2001:db8::1')
})

test('each address has its scope', () => {
  const scopes: Readonly<Record<string, ReturnType<typeof addressScope>>> = {
    '8.8.8.8': 'public',
    '198.18.0.1': 'public',
    '198.20.0.1': 'public',
    '2a00:1450::1': 'public',
    '10.1.2.3': 'private',
    '192.168.1.1': 'private',
    'fd00::1': 'private',
    '100.64.0.1': 'shared',
    '127.0.0.1': 'loopback',
    '::1': 'loopback',
    '169.254.1.1': 'link-local',
    'fe80::1': 'link-local',
    '0.0.0.0': 'unusable',
    '224.0.0.1': 'unusable',
    '255.255.255.255': 'unusable',
    'ff02::1': 'unusable',
  }
  for (const [address, scope] of Object.entries(scopes)) assert.equal(addressScope(address), scope, address)
})

test('two addresses of one family may share a prefix, and addresses of two families never do', () => {
  assert.ok(sharePrefix('203.0.113.5', '203.0.113.9', { 4: 24, 6: 64 }))
  assert.ok(!sharePrefix('203.0.113.5', '203.0.113.9', { 4: 32, 6: 64 }))
  assert.ok(sharePrefix('2001:db8::1', '2001:db8::ffff', { 4: 32, 6: 64 }))
  assert.ok(!sharePrefix('2001:db8::1', '1.2.3.4', { 4: 0, 6: 0 }))
})
