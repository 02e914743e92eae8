// Both address families at once: the NAT profile is that of IPv4, and each family has its own keepalives.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { AddressDiscovery, type FamilyToProbe } from '../../src/agent/network/address-discovery.ts'
import { type Endpoint, type Family, familyOf } from '../../src/base/endpoint.ts'
import type { NatProfile } from '../../src/base/nat-profile.ts'
import type { NatView } from '../../src/nat/nat-prober.ts'
import { decodeStun, encodeSuccess } from '../../src/nat/stun-message.ts'
import { SocketSet } from '../../src/net/udp/socket-set.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const servers = [
  { address: '11.0.0.1', port: 3478 },
  { address: '11.0.0.2', port: 3478 },
  { address: '2a00::1', port: 3478 },
  { address: '2a00::2', port: 3478 },
] as const
const local: Readonly<Record<Family, Endpoint>> = {
  4: { address: '192.168.1.5', port: 4000 },
  6: { address: '2a01::5', port: 6000 },
}
const mapped: Readonly<Record<Family, Endpoint>> = { 4: { address: '11.0.2.1', port: 4000 }, 6: local[6] }

/** STUN servers that answer after `answerMs`, or never if it is null. */
function makeDiscovery(answerMs: Readonly<Record<Family, number | null>>, known: Partial<NatProfile> = {}) {
  const clock = new VirtualClock()
  const views: { view: NatView; first: boolean; at: number }[] = []
  const requests: { family: Family; at: number }[] = []
  const discovery = new AddressDiscovery({
    clock,
    crypto: realCrypto,
    keepaliveMs: 8_000,
    known,
    sockets: (onDatagram, onFailure) =>
      new SocketSet({
        open: () => Promise.reject(new Error('the system has no more sockets')),
        sendMain: (bytes, to) => {
          const family = familyOf(to.address)
          requests.push({ family, at: clock.now() })
          const request = decodeStun(bytes)
          assert.ok(request.ok)
          const delayMs = answerMs[family]
          if (delayMs === null) return
          const answer = encodeSuccess({
            transactionId: request.message.transactionId,
            mapped: mapped[family],
          })
          clock.after(delayMs, () => discovery.receive(answer, to))
        },
        onDatagram,
        onFailure,
      }),
    onView: (view, first) => views.push({ view, first, at: clock.now() }),
  })
  const familyToProbe = (family: Family): FamilyToProbe => ({
    family,
    servers: servers.filter(({ address }) => familyOf(address) === family),
    localEndpoints: [local[family]],
  })
  return { clock, discovery, views, requests, familyToProbe }
}

test('when servers answer on both families, there is one view of both with the NAT profile of IPv4', async () => {
  const { clock, discovery, views, familyToProbe } = makeDiscovery({ 4: 20, 6: 50 })
  const started = discovery.start([familyToProbe(4), familyToProbe(6)])
  await clock.advance(100)
  await started
  assert.equal(views.length, 1)
  assert.equal(views[0]?.first, true)
  assert.equal(views[0]?.at, 50)
  assert.equal(discovery.view.profile.mapping, 'EIM')
  assert.deepEqual(discovery.view.publicEndpoints, [mapped[4], mapped[6]])
  discovery.stop()
  assert.equal(clock.pendingTimers, 0)
})

test('each family sends its own keepalive every 8 s', async () => {
  const { clock, discovery, requests, familyToProbe } = makeDiscovery({ 4: 20, 6: 20 })
  void discovery.start([familyToProbe(4), familyToProbe(6)])
  await clock.advance(33_000)
  for (const family of [4, 6] as const) {
    const times = [...new Set(requests.filter((ask) => ask.family === family).map(({ at }) => at))]
    assert.deepEqual(times, [0, 8_000, 16_000, 24_000, 32_000])
  }
  discovery.stop()
})

test('a late IPv6 answer delays the first view by 300 ms, and a later answer emits a new view', async () => {
  const { clock, discovery, views, familyToProbe } = makeDiscovery({ 4: 20, 6: 1_000 })
  const started = discovery.start([familyToProbe(4), familyToProbe(6)])
  await clock.advance(320)
  await started
  assert.deepEqual(
    views.map(({ first, at }) => ({ first, at })),
    [{ first: true, at: 320 }],
  )
  assert.deepEqual(discovery.view.publicEndpoints, [mapped[4]])
  await clock.advance(1_000)
  assert.deepEqual(
    views.slice(1).map(({ first, view }) => ({ first, publicEndpoints: view.publicEndpoints })),
    [{ first: false, publicEndpoints: [mapped[4], mapped[6]] }],
  )
  discovery.stop()
  // Answers to repeated requests are still in transit.
  await clock.advance(2_000)
  assert.equal(clock.pendingTimers, 0)
})

test('the first view waits for IPv4 even if IPv6 has answered; without an IPv4 answer it is the view of IPv6', async () => {
  const { clock, discovery, views, familyToProbe } = makeDiscovery({ 4: null, 6: 20 })
  void discovery.start([familyToProbe(4), familyToProbe(6)])
  await clock.advance(2_900)
  assert.equal(views.length, 0)
  await clock.advance(200)
  assert.equal(discovery.view.profile.mapping, 'none')
  assert.deepEqual(discovery.view.publicEndpoints, [mapped[6]])
  discovery.stop()
})

test('without an IPv4 server, the first view waits only briefly for IPv6', async () => {
  for (const [answerMs, at] of [
    [20, 20],
    [null, 300],
  ] as const) {
    const { clock, discovery, views, familyToProbe } = makeDiscovery({ 4: null, 6: answerMs })
    void discovery.start([{ ...familyToProbe(4), servers: [] }, familyToProbe(6)])
    await clock.advance(4_000)
    assert.equal(views[0]?.at, at)
    discovery.stop()
  }
})

test('stopping ends a waiting start, leaves no timer and emits nothing', async () => {
  const { clock, discovery, views, familyToProbe } = makeDiscovery({ 4: 10, 6: null })
  const started = discovery.start([familyToProbe(4), familyToProbe(6)])
  await clock.advance(50)
  discovery.stop()
  await started
  await clock.advance(5_000)
  assert.deepEqual([views, clock.pendingTimers], [[], 0])
})

test('values set by the user override what the servers show, from the first view on', async () => {
  const { clock, discovery, views, familyToProbe } = makeDiscovery(
    { 4: 20, 6: 20 },
    { mapping: 'APDM', lifetimeMs: 30_000 },
  )
  const started = discovery.start([familyToProbe(4)])
  await clock.advance(100)
  await started
  for (const profile of [views[0]?.view.profile, discovery.view.profile]) {
    assert.deepEqual(profile, {
      mapping: 'APDM',
      filtering: 'unknown',
      allocation: { type: 'preserving' },
      lifetimeMs: 30_000,
    })
  }
  discovery.stop()
})

test('results of background tests emit no new view', async () => {
  const { clock, discovery, views, familyToProbe } = makeDiscovery({ 4: 20, 6: 20 })
  const started = discovery.start([familyToProbe(4)])
  await clock.advance(600_000)
  await started
  assert.equal(views.length, 1)
  discovery.stop()
})
