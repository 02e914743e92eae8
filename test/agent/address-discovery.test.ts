// Two families at once: IPv4's NAT is what counts, and each is kept alive by itself.

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

/** Servers that answer so long after the question; null: never. */
function makeFinder(answerMs: Readonly<Record<Family, number | null>>, known: Partial<NatProfile> = {}) {
  const clock = new VirtualClock()
  const views: { view: NatView; first: boolean; at: number }[] = []
  const asked: { family: Family; at: number }[] = []
  const finder = new AddressDiscovery({
    clock,
    crypto: realCrypto,
    keepaliveMs: 8_000,
    known,
    sockets: (onDatagram, onFailure) =>
      new SocketSet({
        open: () => Promise.reject(new Error('the system has no more sockets')),
        sendMain: (bytes, to) => {
          const family = familyOf(to.address)
          asked.push({ family, at: clock.now() })
          const question = decodeStun(bytes)
          assert.ok(question.ok)
          const delayMs = answerMs[family]
          if (delayMs === null) return
          const answer = encodeSuccess({
            transactionId: question.message.transactionId,
            mapped: mapped[family],
          })
          clock.after(delayMs, () => finder.receive(answer, to))
        },
        onDatagram,
        onFailure,
      }),
    onView: (view, first) => views.push({ view, first, at: clock.now() }),
  })
  const probed = (family: Family): FamilyToProbe => ({
    family,
    servers: servers.filter(({ address }) => familyOf(address) === family),
    localEndpoints: [local[family]],
  })
  return { clock, finder, views, asked, probed }
}

test('with answers on both families there is one view of both, with the profile of IPv4', async () => {
  const { clock, finder, views, probed } = makeFinder({ 4: 20, 6: 50 })
  const started = finder.start([probed(4), probed(6)])
  await clock.advance(100)
  await started
  assert.equal(views.length, 1)
  assert.equal(views[0]?.first, true)
  assert.equal(views[0]?.at, 50)
  assert.equal(finder.view.profile.mapping, 'EIM')
  assert.deepEqual(finder.view.publicEndpoints, [mapped[4], mapped[6]])
  finder.stop()
  assert.equal(clock.pendingTimers, 0)
})

test('each family is kept alive every 8 s by itself', async () => {
  const { clock, finder, asked, probed } = makeFinder({ 4: 20, 6: 20 })
  void finder.start([probed(4), probed(6)])
  await clock.advance(33_000)
  for (const family of [4, 6] as const) {
    const times = [...new Set(asked.filter((ask) => ask.family === family).map(({ at }) => at))]
    assert.deepEqual(times, [0, 8_000, 16_000, 24_000, 32_000])
  }
  finder.stop()
})

test('IPv6 that answers late holds the first verdict up by 300 ms, and is news when it does', async () => {
  const { clock, finder, views, probed } = makeFinder({ 4: 20, 6: 1_000 })
  const started = finder.start([probed(4), probed(6)])
  await clock.advance(320)
  await started
  assert.deepEqual(
    views.map(({ first, at }) => ({ first, at })),
    [{ first: true, at: 320 }],
  )
  assert.deepEqual(finder.view.publicEndpoints, [mapped[4]])
  await clock.advance(1_000)
  assert.deepEqual(
    views.slice(1).map(({ first, view }) => ({ first, publicEndpoints: view.publicEndpoints })),
    [{ first: false, publicEndpoints: [mapped[4], mapped[6]] }],
  )
  finder.stop()
  // Answers to repeated questions are still on their way.
  await clock.advance(2_000)
  assert.equal(clock.pendingTimers, 0)
})

test('IPv4 is waited for, whatever IPv6 says; where it stays silent the view is that of IPv6', async () => {
  const { clock, finder, views, probed } = makeFinder({ 4: null, 6: 20 })
  void finder.start([probed(4), probed(6)])
  await clock.advance(2_900)
  assert.equal(views.length, 0)
  await clock.advance(200)
  assert.equal(finder.view.profile.mapping, 'none')
  assert.deepEqual(finder.view.publicEndpoints, [mapped[6]])
  finder.stop()
})

test('with no server for IPv4 the verdict waits for that on IPv6 alone, and not for long', async () => {
  for (const [answerMs, at] of [
    [20, 20],
    [null, 300],
  ] as const) {
    const { clock, finder, views, probed } = makeFinder({ 4: null, 6: answerMs })
    void finder.start([{ ...probed(4), servers: [] }, probed(6)])
    await clock.advance(4_000)
    assert.equal(views[0]?.at, at)
    finder.stop()
  }
})

test('stopping ends a start that waits, and leaves no timer and no word', async () => {
  const { clock, finder, views, probed } = makeFinder({ 4: 10, 6: null })
  const started = finder.start([probed(4), probed(6)])
  await clock.advance(50)
  finder.stop()
  await started
  await clock.advance(5_000)
  assert.deepEqual([views, clock.pendingTimers], [[], 0])
})

test('what was entered by hand counts more than what the servers show, from the first view on', async () => {
  const { clock, finder, views, probed } = makeFinder(
    { 4: 20, 6: 20 },
    { mapping: 'APDM', lifetimeMs: 30_000 },
  )
  const started = finder.start([probed(4)])
  await clock.advance(100)
  await started
  for (const profile of [views[0]?.view.profile, finder.view.profile]) {
    assert.deepEqual(profile, {
      mapping: 'APDM',
      filtering: 'unknown',
      allocation: { type: 'preserving' },
      lifetimeMs: 30_000,
    })
  }
  finder.stop()
})

test('what is learned in the background asks for no letter', async () => {
  const { clock, finder, views, probed } = makeFinder({ 4: 20, 6: 20 })
  const started = finder.start([probed(4)])
  await clock.advance(600_000)
  await started
  assert.equal(views.length, 1)
  finder.stop()
})
