import assert from 'node:assert/strict'
import { test } from 'node:test'
import { PeerLoopbackAddresses } from '../../src/forward/peer-loopback-addresses.ts'

const peers = Array.from({ length: 3_000 }, (_, index) => `peer ${index}`)

test('each peer has its own loopback address, whatever peers came before', () => {
  const [one, other] = [new PeerLoopbackAddresses(), new PeerLoopbackAddresses()]
  const addresses = peers.map((peer) => one.of(peer))
  assert.equal(new Set(addresses).size, peers.length)
  for (const address of addresses) assert.match(address, /^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\.\d+\.\d+$/)
  assert.deepEqual(
    peers.map((peer) => one.of(peer)),
    addresses,
  )
  assert.equal(other.of('peer 2999'), one.of('peer 2999'))
})

test('when such an address cannot be bound, all peers get 127.0.0.1, which is not tried twice', () => {
  const addresses = new PeerLoopbackAddresses()
  const [first, second] = [addresses.of('a'), addresses.of('b')]
  assert.ok(addresses.reportUnusable(first))
  assert.ok(addresses.reportUnusable(second), 'a second bind that had already started also needs another try')
  assert.equal(addresses.of('a'), '127.0.0.1')
  assert.ok(!addresses.reportUnusable(addresses.of('a')))
})

test('the number of remembered peers is bounded, and no two of them share an address', () => {
  const addresses = new PeerLoopbackAddresses()
  for (let index = 0; index < 10_000; index++) addresses.of(`peer ${index}`)
  const last = Array.from({ length: 4_096 }, (_, index) => addresses.of(`peer ${10_000 - 4_096 + index}`))
  assert.equal(new Set(last).size, 4_096)
})
