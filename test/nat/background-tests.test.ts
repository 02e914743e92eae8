// The prober's background tests: hairpinning, and the lifetime of mappings.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { decodeStun } from '../../src/nat/stun-message.ts'
import { nat } from '../harness/simulator/nat-kinds.ts'
import type { NatKind } from '../harness/simulator/simulated-nat.ts'
import { Probing, plainServers } from './probing.ts'

const minuteMs = 60_000
const [plain] = plainServers as [Endpoint]

for (const [name, filtering] of [
  ['accepts packets from any source', 'EIF'],
  ['accepts packets only from known endpoints', 'APDF'],
] as const) {
  test(`the prober finds whether a NAT that ${name} hairpins`, () => {
    for (const hairpin of [true, false]) {
      const probing = new Probing({ kind: nat('EIM', filtering, { hairpin }), backgroundTests: ['hairpins'] })
      assert.equal(probing.verdict().hairpins, undefined)
      assert.equal(probing.learned(minuteMs)?.hairpins, hairpin)
      assert.equal(probing.sockets.size, 0)
    }
  })
}

test('without a NAT, and behind one with a port per destination, hairpinning is not tested', () => {
  for (const kind of [null, nat('APDM', 'APDF', { allocation: 1 })]) {
    const probing = new Probing({ kind, backgroundTests: ['hairpins'] })
    probing.verdict()
    const { sent } = probing.sockets
    assert.equal(probing.learned(minuteMs)?.hairpins, undefined)
    assert.equal(probing.sockets.sent, sent)
  }
})

/** For each lifetime the longest tested silence below it; nothing below 5 s is tested. */
const lifetimes: readonly [lifetimeMs: number, learned: number][] = [
  [3_000, 2_500],
  [8_000, 5_000],
  [15_000, 10_000],
  [35_000, 20_000],
  [65_000, 40_000],
  [120_000, 80_000],
  [200_000, 160_000],
  [1_000_000, 300_000],
]
const kinds: readonly [string, Partial<NatKind> & Pick<NatKind, 'mapping' | 'filtering'>][] = [
  ['EIM that keeps ports', { mapping: 'EIM', filtering: 'APDF' }],
  ['ADM sequential', { mapping: 'ADM', filtering: 'ADF', allocation: 1 }],
  ['APDM random', { mapping: 'APDM', filtering: 'APDF', allocation: 'random' }],
]
for (const [name, kind] of kinds) {
  test(`with RESPONSE-PORT the lifetime of mappings is found, and never reported too long: ${name}`, () => {
    for (const [lifetimeMs, expected] of lifetimes) {
      const probing = new Probing({
        kind: nat(kind.mapping, kind.filtering, { ...kind, lifetimeMs }),
        backgroundTests: ['lifetime'],
      })
      probing.verdict()
      assert.equal(probing.learned(10 * minuteMs)?.profile.lifetimeMs, expected, `${lifetimeMs} ms`)
      assert.equal(probing.sockets.size, 0)
    }
  })
}

/** The server answers as if it did not know RESPONSE-PORT. */
function ignoringResponsePort(kind: NatKind): Probing {
  const probing = new Probing({ kind, backgroundTests: ['lifetime'], servers: [plain] })
  probing.behave(plain, (honest, request) => ({ ...honest, to: request.from }))
  return probing
}

test('without RESPONSE-PORT the lifetime is found from ports that change', () => {
  for (const [lifetimeMs, expected] of lifetimes.slice(0, -1)) {
    const probing = ignoringResponsePort(nat('EIM', 'APDF', { allocation: 'random', lifetimeMs }))
    probing.verdict()
    assert.equal(probing.learned(10 * minuteMs)?.profile.lifetimeMs, expected, `${lifetimeMs} ms`)
  }
})

test('without RESPONSE-PORT no lifetime is reported when ports are kept or never change', () => {
  for (const kind of [nat('EIM', 'APDF'), nat('EIM', 'APDF', { allocation: 1, lifetimeMs: 1_000_000 })]) {
    const probing = ignoringResponsePort(kind)
    probing.verdict()
    assert.equal(probing.learned(10 * minuteMs)?.profile.lifetimeMs, undefined)
    assert.equal(probing.sockets.size, 0)
  }
})

test('a server that becomes silent is not mistaken for an expired mapping', () => {
  for (const kind of [
    nat('EIM', 'APDF', { lifetimeMs: 1_000_000 }),
    nat('ADM', 'ADF', { allocation: 1, lifetimeMs: 1_000_000 }),
  ]) {
    const probing = new Probing({ kind, backgroundTests: ['lifetime'], servers: [plain] })
    probing.verdict()
    probing.time.run(25_000)
    probing.behave(plain, () => null)
    assert.equal(probing.learned(10 * minuteMs)?.profile.lifetimeMs, 20_000)
  }
})

test('with 5 % loss the lifetime is still found, at most one step too short', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const kind = nat('EIM', 'APDF', { lifetimeMs: 120_000 })
    const probing = new Probing({ kind, seed, loss: 0.05, backgroundTests: ['lifetime'] })
    probing.verdict()
    const lifetimeMs = probing.learned(10 * minuteMs)?.profile.lifetimeMs
    assert.ok(lifetimeMs === 80_000 || lifetimeMs === 40_000, `seed ${seed}: ${lifetimeMs}`)
  }
})

test('the background tests send fewer than 80 packets in five minutes, and cause no `changed` event', () => {
  const kind = nat('EIM', 'APDF', { lifetimeMs: 1_000_000 })
  const probing = new Probing({ kind, backgroundTests: ['hairpins', 'lifetime'] })
  const keepalives = new Probing({ kind })
  for (const each of [probing, keepalives]) {
    each.verdict()
    each.time.run(6 * minuteMs)
  }
  assert.ok(probing.sockets.sent - keepalives.sockets.sent < 80)
  assert.deepEqual(
    probing.events.map(({ event }) => event.type).filter((type) => type !== 'learned'),
    ['profile'],
  )
  assert.equal(probing.events.filter(({ event }) => event.type === 'learned' && event.done).length, 1)
})

test('a mapping that expires before the usual keepalive gets a shorter interval', () => {
  const probing = new Probing({
    kind: nat('EIM', 'APDF', { lifetimeMs: 6_000 }),
    backgroundTests: ['lifetime'],
  })
  probing.verdict()
  probing.learned(10 * minuteMs)
  const { sent } = probing.sockets
  probing.time.run(minuteMs)
  // Every 4 s instead of every 8 s.
  assert.equal(probing.sockets.sent - sent, 15)
})

test('another public address starts the background tests anew', () => {
  const probing = new Probing({
    kind: nat('EIM', 'APDF', { lifetimeMs: 15_000 }),
    backgroundTests: ['lifetime'],
  })
  probing.verdict()
  assert.equal(probing.learned(10 * minuteMs)?.profile.lifetimeMs, 10_000)
  probing.nat?.changeAddresses(['11.0.2.78'])
  probing.time.run(10 * minuteMs)
  const types = probing.events.map(({ event }) => event.type)
  assert.equal(types.filter((type) => type === 'changed').length, 1)
  const changed = probing.events[types.indexOf('changed')]?.event
  assert.equal(changed?.profile.lifetimeMs, undefined)
  assert.equal(probing.events.at(-1)?.event.profile.lifetimeMs, 10_000)
})

test('hairpin packets go to no address but our own', () => {
  const probing = new Probing({ kind: nat('EIM', 'EIF'), backgroundTests: ['hairpins'], servers: [plain] })
  let requests = 0
  probing.behave(plain, (honest, request) => {
    const decoding = decodeStun(request.bytes)
    assert.ok(decoding.ok)
    // From the second request on, the server reports an address that is not ours.
    return ++requests === 1 ? honest : { ...honest, bytes: falsified(honest.bytes) }
  })
  probing.verdict()
  const { sent } = probing.sockets
  assert.equal(probing.learned(minuteMs)?.hairpins, undefined)
  assert.ok(probing.sockets.sent - sent <= 4, `${probing.sockets.sent - sent}`)
})

/** XOR-MAPPED-ADDRESS is the first attribute; its address is the last four bytes of the value. */
function falsified(honest: Uint8Array): Uint8Array {
  return Uint8Array.from(honest, (byte, at) => (at === 31 ? byte ^ 1 : byte))
}
