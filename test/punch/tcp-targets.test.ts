import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Candidate } from '../../src/base/endpoint.ts'
import { unknownNat } from '../../src/base/nat-profile.ts'
import { plan } from '../../src/punch/punch-plan.ts'
import { maxTcpTargets, mayCall, roundDelayMs, tcpTargets } from '../../src/punch/tcp-targets.ts'

const candidate = (kind: Candidate['kind'], address: string, port = 4000): Candidate => ({
  kind,
  endpoint: { address, port },
})
const calling = candidate('server-reflexive', '11.0.0.1')
const theirCalling = candidate('server-reflexive', '11.0.0.2')
const inside = candidate('host', '192.168.1.2')
const sides = { mine: [inside, calling], theirs: [] as Candidate[], sameNat: false, onLoopback: false }
const called = (more: Partial<typeof sides>) =>
  tcpTargets({ ...sides, ...more }).map(({ candidate: { endpoint }, isSimultaneous }) => [
    endpoint.address,
    isSimultaneous,
  ])

test('whoever only calls is called at the same time, if we have such a port too; whoever listens in any case', () => {
  const theirs = [theirCalling, candidate('port-mapped', '11.0.0.2', 9)]
  assert.deepEqual(called({ theirs }), [
    ['11.0.0.2', true],
    ['11.0.0.2', false],
  ])
  assert.deepEqual(called({ theirs, mine: [inside] }), [['11.0.0.2', false]])
})

test('addresses inside a LAN are called only behind the same NAT, and nobody’s loopback from outside', () => {
  const theirs = [inside, candidate('port-mapped', '10.9.9.9'), candidate('host', '127.0.0.1')]
  assert.deepEqual(called({ theirs }), [])
  assert.deepEqual(called({ theirs, sameNat: true }), [
    ['192.168.1.2', false],
    ['10.9.9.9', false],
  ])
})

test('no peer has us call more than a few places, nor a family we have not', () => {
  const theirs = Array.from({ length: 40 }, (_, index) => candidate('host', '11.0.0.2', 1 + index))
  assert.equal(called({ theirs }).length, maxTcpTargets)
  assert.deepEqual(called({ theirs: [candidate('host', '2a00::1')] }), [])
})

test('it is enough that one of two may be called', () => {
  const open = [candidate('host', '11.0.0.2')]
  assert.ok(mayCall({ ...sides, mine: [inside], theirs: open }))
  assert.ok(mayCall({ ...sides, mine: open, theirs: [inside] }))
  assert.ok(mayCall({ ...sides, theirs: [theirCalling] }))
  assert.ok(!mayCall({ ...sides, mine: [inside], theirs: [theirCalling] }))
  assert.ok(!mayCall({ ...sides, theirs: [] }))
})

test('where UDP is blocked on both sides the plan is TCP, and none where that cannot help', () => {
  const blocked = (address: string, tcpCandidates: Candidate[]) => ({
    nat: unknownNat,
    candidates: [candidate('host', address)],
    tcpCandidates,
  })
  const mine = blocked('192.168.1.2', [inside, calling])
  const theirs = { ...blocked('192.168.7.2', [theirCalling]), sameNat: false }
  assert.equal(plan(mine, { ...theirs, candidates: [] }).strategy, 'tcp')
  assert.equal(plan(mine, { ...theirs, candidates: [], tcpCandidates: [] }).strategy, 'none')
})

test('two NATs that draw ports at random meet by TCP where a port is open', () => {
  const random = { mapping: 'APDM', filtering: 'APDF', allocation: { type: 'random' } } as const
  const side = (address: string) => ({ nat: random, candidates: [candidate('server-reflexive', address)] })
  const open = { ...side('11.0.0.2'), tcpCandidates: [candidate('port-mapped', '11.0.0.2')], sameNat: false }
  assert.equal(plan({ ...side('11.0.0.1'), tcpCandidates: [inside] }, open).strategy, 'tcp')
  assert.equal(plan(side('11.0.0.1'), { ...side('11.0.0.2'), sameNat: false }).strategy, 'none')
})

test('rounds of two sides begin at the same instants, however far each has come', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.nat(2 ** 41), (round, wallNow) => {
      const delayMs = roundDelayMs(round, wallNow)
      assert.ok(delayMs > 0 && delayMs <= 8_000)
      assert.equal((wallNow + delayMs) % 2_000, 0)
    }),
  )
})
