// What the prober learns in the background: hairpinning, and how long mappings live.

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
  ['lets all in', 'EIF'],
  ['lets in who was sent to', 'APDF'],
] as const) {
  test(`a NAT that ${name} shows whether it hairpins`, () => {
    for (const hairpin of [true, false]) {
      const probing = new Probing({ kind: nat('EIM', filtering, { hairpin }), learn: ['hairpins'] })
      assert.equal(probing.verdict().hairpins, undefined)
      assert.equal(probing.learned(minuteMs)?.hairpins, hairpin)
      assert.equal(probing.sockets.size, 0)
    }
  })
}

test('without a NAT, and behind one with a port for each destination, hairpinning is not asked about', () => {
  for (const kind of [null, nat('APDM', 'APDF', { allocation: 1 })]) {
    const probing = new Probing({ kind, learn: ['hairpins'] })
    probing.verdict()
    const { sent } = probing.sockets
    assert.equal(probing.learned(minuteMs)?.hairpins, undefined)
    assert.equal(probing.sockets.sent, sent)
  }
})

/** The longest silence tried that is shorter, except that nothing below 5 s is tried. */
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
  test(`with RESPONSE-PORT the lifetime of mappings is learned, and never told too long: ${name}`, () => {
    for (const [lifetimeMs, expected] of lifetimes) {
      const probing = new Probing({
        kind: nat(kind.mapping, kind.filtering, { ...kind, lifetimeMs }),
        learn: ['lifetime'],
      })
      probing.verdict()
      assert.equal(probing.learned(10 * minuteMs)?.profile.lifetimeMs, expected, `${lifetimeMs} ms`)
      assert.equal(probing.sockets.size, 0)
    }
  })
}

/** Answers as if RESPONSE-PORT were unknown and could be ignored, or refuses. */
function ignoringResponsePort(kind: NatKind): Probing {
  const probing = new Probing({ kind, learn: ['lifetime'], servers: [plain] })
  probing.behave(plain, (honest, request) => ({ ...honest, to: request.from }))
  return probing
}

test('without RESPONSE-PORT it is learned from ports that change', () => {
  for (const [lifetimeMs, expected] of lifetimes.slice(0, -1)) {
    const probing = ignoringResponsePort(nat('EIM', 'APDF', { allocation: 'random', lifetimeMs }))
    probing.verdict()
    assert.equal(probing.learned(10 * minuteMs)?.profile.lifetimeMs, expected, `${lifetimeMs} ms`)
  }
})

test('without RESPONSE-PORT nothing is claimed where ports are kept, or were never seen to change', () => {
  for (const kind of [nat('EIM', 'APDF'), nat('EIM', 'APDF', { allocation: 1, lifetimeMs: 1_000_000 })]) {
    const probing = ignoringResponsePort(kind)
    probing.verdict()
    assert.equal(probing.learned(10 * minuteMs)?.profile.lifetimeMs, undefined)
    assert.equal(probing.sockets.size, 0)
  }
})

test('a server that falls silent in the middle is not taken for the end of a mapping', () => {
  for (const kind of [
    nat('EIM', 'APDF', { lifetimeMs: 1_000_000 }),
    nat('ADM', 'ADF', { allocation: 1, lifetimeMs: 1_000_000 }),
  ]) {
    const probing = new Probing({ kind, learn: ['lifetime'], servers: [plain] })
    probing.verdict()
    probing.time.run(25_000)
    probing.behave(plain, () => null)
    assert.equal(probing.learned(10 * minuteMs)?.profile.lifetimeMs, 20_000)
  }
})

test('with 5 % loss a lifetime is still found, at most one step too short', () => {
  for (let seed = 1; seed <= 40; seed++) {
    const kind = nat('EIM', 'APDF', { lifetimeMs: 120_000 })
    const probing = new Probing({ kind, seed, loss: 0.05, learn: ['lifetime'] })
    probing.verdict()
    const lifetimeMs = probing.learned(10 * minuteMs)?.profile.lifetimeMs
    assert.ok(lifetimeMs === 80_000 || lifetimeMs === 40_000, `seed ${seed}: ${lifetimeMs}`)
  }
})

test('learning sends fewer than 80 packets in its five minutes, and no `changed`', () => {
  const kind = nat('EIM', 'APDF', { lifetimeMs: 1_000_000 })
  const probing = new Probing({ kind, learn: ['hairpins', 'lifetime'] })
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

test('a mapping that dies before the usual keepalive is kept alive faster from then on', () => {
  const probing = new Probing({ kind: nat('EIM', 'APDF', { lifetimeMs: 6_000 }), learn: ['lifetime'] })
  probing.verdict()
  probing.learned(10 * minuteMs)
  const { sent } = probing.sockets
  probing.time.run(minuteMs)
  // Every 4 s instead of every 8 s.
  assert.equal(probing.sockets.sent - sent, 15)
})

test('another public address makes it learn anew', () => {
  const probing = new Probing({ kind: nat('EIM', 'APDF', { lifetimeMs: 15_000 }), learn: ['lifetime'] })
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

test('hairpin questions go to no address but our own', () => {
  const probing = new Probing({ kind: nat('EIM', 'EIF'), learn: ['hairpins'], servers: [plain] })
  let asked = 0
  probing.behave(plain, (honest, request) => {
    const decoding = decodeStun(request.bytes)
    assert.ok(decoding.ok)
    // From its second socket on we are told of an address that is not ours.
    return ++asked === 1 ? honest : { ...honest, bytes: lying(honest.bytes) }
  })
  probing.verdict()
  const { sent } = probing.sockets
  assert.equal(probing.learned(minuteMs)?.hairpins, undefined)
  assert.ok(probing.sockets.sent - sent <= 4, `${probing.sockets.sent - sent}`)
})

/** XOR-MAPPED-ADDRESS is the first attribute; its address is the last four bytes of the value. */
function lying(honest: Uint8Array): Uint8Array {
  return Uint8Array.from(honest, (byte, at) => (at === 31 ? byte ^ 1 : byte))
}
