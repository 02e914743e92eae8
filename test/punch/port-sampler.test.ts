import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Endpoint, parseEndpoint } from '../../src/base/endpoint.ts'
import { decodeStun, encodeError, encodeSuccess } from '../../src/nat/stun-message.ts'
import { PortSampler, type Sample } from '../../src/punch/port-sampler.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'

const at = (text: string): Endpoint => {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return endpoint
}
const servers = [at('11.0.9.1:3478'), at('11.0.9.2:3478')]
const mapped = at('11.0.0.1:30000')

const newSampler = (list = servers) => new PortSampler(seededCrypto(1), list)
const newSample = (via = 1): Sample => ({ via, mapped: null, isSettled: false })
const answerTo = (request: Uint8Array, seen = mapped) => {
  const decoding = decodeStun(request)
  assert.ok(decoding.ok)
  return encodeSuccess({ transactionId: decoding.message.transactionId, mapped: seen })
}

test('each request uses its own socket, and the servers rotate', () => {
  const sampler = newSampler()
  const sends = [1, 2, 3].map((via) => sampler.request(0, newSample(via)))
  assert.deepEqual(
    sends.map((send) => send && [send.to, send.via]),
    [
      [servers[0], 1],
      [servers[1], 2],
      [servers[0], 3],
    ],
  )
})

test('an answer settles its request once, and copies of it have no effect', () => {
  const sampler = newSampler()
  const sample = newSample()
  const send = sampler.request(0, sample)
  assert.ok(send)
  assert.equal(sampler.handleDatagram(answerTo(send.bytes), send.to, 1), sample)
  assert.deepEqual(sample, { via: 1, mapped, isSettled: true })
  assert.equal(sampler.handleDatagram(answerTo(send.bytes, at('11.0.0.9:9')), send.to, 1), null)
  assert.deepEqual(sample.mapped, mapped)
  assert.equal(sampler.nextTimeout(), null)
})

test('an answer from another endpoint, on another socket, of another request or garbled has no effect', () => {
  const sampler = newSampler()
  const sample = newSample()
  const send = sampler.request(0, sample)
  const unrelated = newSampler().request(0, newSample())
  assert.ok(send && unrelated)
  assert.equal(sampler.handleDatagram(answerTo(send.bytes), servers[1] as Endpoint, 1), null)
  assert.equal(sampler.handleDatagram(answerTo(send.bytes), send.to, 2), null)
  assert.equal(
    sampler.handleDatagram(encodeSuccess({ transactionId: new Uint8Array(12), mapped }), send.to, 1),
    null,
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), (bytes) => {
      assert.equal(sampler.handleDatagram(bytes, send.to, 1), null)
    }),
  )
  assert.equal(sample.isSettled, false)
})

test('a lost request is repeated from the same socket to the same server, then given up', () => {
  const sampler = newSampler()
  const sample = newSample()
  const first = sampler.request(0, sample)
  const repeated: number[] = []
  for (let due = sampler.nextTimeout(); due !== null; due = sampler.nextTimeout()) {
    const { sends, settled } = sampler.handleTimeout(due, 10)
    for (const send of sends) {
      assert.deepEqual(send, first)
      repeated.push(due)
    }
    assert.ok(settled.length === 0 || due > 2_000)
  }
  assert.deepEqual(repeated, [350, 1_050])
  assert.deepEqual(sample, { via: 1, mapped: null, isSettled: true })
})

test('without budget nothing is repeated, and the request ends', () => {
  const sampler = newSampler()
  const sample = newSample()
  sampler.request(0, sample)
  assert.deepEqual(sampler.handleTimeout(350, 0), { sends: [], settled: [sample] })
})

test('an error answer settles the request without a port', () => {
  const sampler = newSampler()
  const sample = newSample()
  const send = sampler.request(0, sample)
  assert.ok(send)
  const decoding = decodeStun(send.bytes)
  assert.ok(decoding.ok)
  assert.equal(sampler.handleDatagram(encodeError(decoding.message.transactionId, 420), send.to, 1), sample)
  assert.equal(sample.mapped, null)
})

test('without an IPv4 server every sample is settled at once', () => {
  const sampler = newSampler([at('[2a00::1]:3478')])
  const sample = newSample()
  assert.equal(sampler.hasServers, false)
  assert.equal(sampler.request(0, sample), null)
  assert.equal(sample.isSettled, true)
})
