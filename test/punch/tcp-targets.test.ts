import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Candidate } from '../../src/base/endpoint.ts'
import { unknownNat } from '../../src/base/nat-profile.ts'
import { plan } from '../../src/punch/punch-plan.ts'
import { canConnect, maxTcpTargets, roundDelayMs, tcpTargets } from '../../src/punch/tcp-targets.ts'

const candidate = (kind: Candidate['kind'], address: string, port = 4000): Candidate => ({
  kind,
  endpoint: { address, port },
})
const ourReflexive = candidate('server-reflexive', '11.0.0.1')
const theirReflexive = candidate('server-reflexive', '11.0.0.2')
const inside = candidate('host', '192.168.1.2')
const sides = { mine: [inside, ourReflexive], theirs: [] as Candidate[], sameNat: false, onLoopback: false }
const dialled = (more: Partial<typeof sides>) =>
  tcpTargets({ ...sides, ...more }).map(({ candidate: { endpoint }, isSimultaneous }) => [
    endpoint.address,
    isSimultaneous,
  ])

test('a peer behind a NAT is dialled simultaneously if we have such a port too; a listening one in any case', () => {
  const theirs = [theirReflexive, candidate('port-mapped', '11.0.0.2', 9)]
  assert.deepEqual(dialled({ theirs }), [
    ['11.0.0.2', true],
    ['11.0.0.2', false],
  ])
  assert.deepEqual(dialled({ theirs, mine: [inside] }), [['11.0.0.2', false]])
})

test('LAN addresses are dialled only behind the same NAT, and loopback never from outside', () => {
  const theirs = [inside, candidate('port-mapped', '10.9.9.9'), candidate('host', '127.0.0.1')]
  assert.deepEqual(dialled({ theirs }), [])
  assert.deepEqual(dialled({ theirs, sameNat: true }), [
    ['192.168.1.2', false],
    ['10.9.9.9', false],
  ])
})

test('a peer cannot make us dial more than a few endpoints, nor a family we do not have', () => {
  const theirs = Array.from({ length: 40 }, (_, index) => candidate('host', '11.0.0.2', 1 + index))
  assert.equal(dialled({ theirs }).length, maxTcpTargets)
  assert.deepEqual(dialled({ theirs: [candidate('host', '2a00::1')] }), [])
})

test('it is enough that one side can be dialled', () => {
  const open = [candidate('host', '11.0.0.2')]
  assert.ok(canConnect({ ...sides, mine: [inside], theirs: open }))
  assert.ok(canConnect({ ...sides, mine: open, theirs: [inside] }))
  assert.ok(canConnect({ ...sides, theirs: [theirReflexive] }))
  assert.ok(!canConnect({ ...sides, mine: [inside], theirs: [theirReflexive] }))
  assert.ok(!canConnect({ ...sides, theirs: [] }))
})

test('when UDP is blocked on both sides the plan is TCP, and none when TCP cannot work either', () => {
  const blocked = (address: string, tcpCandidates: Candidate[]) => ({
    nat: unknownNat,
    candidates: [candidate('host', address)],
    tcpCandidates,
  })
  const mine = blocked('192.168.1.2', [inside, ourReflexive])
  const theirs = { ...blocked('192.168.7.2', [theirReflexive]), sameNat: false }
  assert.equal(plan(mine, { ...theirs, candidates: [] }).strategy, 'tcp')
  assert.equal(plan(mine, { ...theirs, candidates: [], tcpCandidates: [] }).strategy, 'none')
})

test('two NATs with random ports connect by TCP when a port is open', () => {
  const random = { mapping: 'APDM', filtering: 'APDF', allocation: { type: 'random' } } as const
  const side = (address: string) => ({ nat: random, candidates: [candidate('server-reflexive', address)] })
  const open = { ...side('11.0.0.2'), tcpCandidates: [candidate('port-mapped', '11.0.0.2')], sameNat: false }
  assert.equal(plan({ ...side('11.0.0.1'), tcpCandidates: [inside] }, open).strategy, 'tcp')
  assert.equal(plan(side('11.0.0.1'), { ...side('11.0.0.2'), sameNat: false }).strategy, 'none')
})

test('rounds of two sides start at the same times, whatever round each is in', () => {
  fc.assert(
    fc.property(fc.nat(40), fc.nat(2 ** 41), (round, wallNow) => {
      const delayMs = roundDelayMs(round, wallNow)
      assert.ok(delayMs > 0 && delayMs <= 8_000)
      assert.equal((wallNow + delayMs) % 2_000, 0)
    }),
  )
})
