import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type Candidate, type CandidateKind, formatEndpoint, parseEndpoint } from '../../src/base/endpoint.ts'
import type { Allocation, Filtering, Mapping, NatProfile, PortBlock } from '../../src/base/nat-profile.ts'
import { plan } from '../../src/punch/punch-plan.ts'

function candidate(kind: CandidateKind, text: string): Candidate {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return { kind, endpoint }
}

const host = (text: string) => candidate('host', text)
const reflexive = (text: string) => candidate('server-reflexive', text)
const nat = (mapping: Mapping, filtering: Filtering = 'unknown'): NatProfile => ({
  mapping,
  filtering,
  allocation: { type: 'unknown' },
})
const mine = [host('192.168.1.2:4000'), reflexive('11.0.0.1:4000')]
const theirs = [reflexive('11.0.0.2:5000')]

const mappings: Mapping[] = ['none', 'EIM', 'ADM', 'APDM', 'unknown']
const filterings: Filtering[] = ['EIF', 'ADF', 'APDF', 'unknown']

function strategy(a: NatProfile, b: NatProfile) {
  return plan({ nat: a, candidates: mine }, { nat: b, candidates: theirs, sameNat: false }).strategy
}

test('without a symmetric NAT every pair is punched directly', () => {
  for (const a of ['none', 'EIM', 'unknown'] as const) {
    for (const b of ['none', 'EIM', 'unknown'] as const) {
      for (const filtering of filterings) assert.equal(strategy(nat(a), nat(b, filtering)), 'direct')
    }
  }
})

const sequential = (mapping: Mapping, filtering: Filtering = 'APDF', block?: PortBlock): NatProfile => ({
  mapping,
  filtering,
  allocation: { type: 'sequential', step: 1, ...(block && { block }) },
})
const random = (mapping: Mapping, filtering: Filtering = 'APDF', block?: PortBlock): NatProfile => ({
  mapping,
  filtering,
  allocation: { type: 'random', ...(block && { block }) },
})

/** Both sides must choose this strategy. */
function assertStrategy(a: NatProfile, b: NatProfile, expected: string) {
  assert.equal(strategy(a, b), expected)
  assert.equal(strategy(b, a), expected)
}

const hardNats = [sequential('ADM'), sequential('APDM'), random('ADM'), random('APDM'), nat('APDM')]

test('a symmetric NAT is punched directly with a side that accepts any port', () => {
  for (const hard of hardNats) {
    for (const open of [nat('none'), nat('none', 'APDF'), nat('EIM', 'EIF'), nat('EIM', 'ADF')]) {
      assertStrategy(open, hard, 'direct')
    }
  }
})

test('a counting NAT announces its port to a peer that filters by port, or may do so', () => {
  for (const filtering of ['APDF', 'unknown'] as const) {
    for (const hard of [sequential('ADM'), sequential('APDM'), nat('ADM'), nat('APDM')]) {
      assertStrategy(nat('EIM', filtering), hard, 'range')
    }
  }
})

test('random ports are searched when the other port is known, in a block if there is one', () => {
  for (const mapping of ['ADM', 'APDM'] as const) {
    assertStrategy(nat('EIM', 'APDF'), random(mapping), 'birthday')
    assertStrategy(nat('EIM'), random(mapping, 'APDF', { first: 2048, last: 2303 }), 'block-search')
  }
})

test('an ADM side that counts gets its port first, whatever the other side is', () => {
  for (const filtering of filterings) {
    assertStrategy(sequential('ADM', filtering), sequential('ADM'), 'assigned-range')
    assertStrategy(sequential('ADM', filtering), sequential('APDM'), 'assigned-range')
  }
  for (const filtering of ['EIF', 'ADF'] as const) {
    assertStrategy(sequential('ADM', filtering), random('APDM'), 'assigned-range')
  }
  for (const filtering of ['APDF', 'unknown'] as const) {
    assertStrategy(sequential('ADM', filtering), random('APDM'), 'assigned-birthday')
  }
})

test('two APDM sides that count agree on targets, and with random ports there is no plan', () => {
  assertStrategy(sequential('APDM'), sequential('APDM', 'ADF'), 'target-list')
  for (const mapping of ['ADM', 'APDM'] as const) {
    assertStrategy(random(mapping), random('APDM'), 'none')
    assertStrategy(random(mapping), sequential('APDM'), 'none')
  }
})

test('a hard NAT without a public endpoint gets checks only', () => {
  const blind = { nat: sequential('APDM'), candidates: [host('11.0.0.3:1')] }
  assert.equal(
    plan({ nat: nat('EIM', 'APDF'), candidates: mine }, { ...blind, sameNat: false }).strategy,
    'direct',
  )
})

test('the size of a search follows from its chances, and search, checks and answers fit the budget', () => {
  const costs = (block?: PortBlock) => {
    const result = plan(
      { nat: nat('EIM', 'APDF'), candidates: mine },
      { nat: random('APDM', 'APDF', block), candidates: theirs, sameNat: false },
    )
    assert.ok('searchSize' in result)
    return [result.searchSize, result.budget]
  }
  assert.deepEqual(costs(), [851, 896])
  assert.deepEqual(costs({ first: 2048, last: 2303 }), [46, 75])
  assert.deepEqual(costs({ first: 2048, last: 3071 }), [91, 120])
  assert.deepEqual(costs({ first: 2048, last: 2049 }), [2, 31])
})

test('a common LAN, IPv6 or a port mapping avoids two NATs with random ports', () => {
  const hard = random('APDM')
  const me = { nat: hard, candidates: mine }
  const lan = plan(me, { nat: hard, candidates: [host('192.168.1.3:5000'), ...theirs], sameNat: true })
  assert.ok(lan.strategy === 'direct')
  assert.deepEqual(lan.targets, [host('192.168.1.3:5000')])
  assert.equal(plan(me, { nat: hard, candidates: theirs, sameNat: true }).strategy, 'none')

  const six = plan(
    { nat: hard, candidates: [...mine, reflexive('[2a00::1]:4000')] },
    { nat: hard, candidates: [...theirs, reflexive('[2a00::2]:5000')], sameNat: false },
  )
  assert.ok(six.strategy === 'direct')
  assert.deepEqual(six.targets, [reflexive('[2a00::2]:5000')])

  const withMapping = [...theirs, candidate('port-mapped', '11.0.0.2:6000')]
  assert.equal(plan(me, { nat: hard, candidates: withMapping, sameNat: false }).strategy, 'direct')
})

test('a port opened by a router behind another NAT is reachable only inside that network', () => {
  const hard = random('APDM')
  const withMapping = [...theirs, candidate('port-mapped', '192.168.0.7:6000')]
  assert.equal(
    plan({ nat: hard, candidates: mine }, { nat: hard, candidates: withMapping, sameNat: false }).strategy,
    'none',
  )
  const targets = (sameNat: boolean) => {
    const easy = { nat: nat('EIM'), candidates: mine }
    const result = plan(easy, { nat: nat('EIM'), candidates: withMapping, sameNat })
    return result.strategy === 'direct' ? result.targets.map(({ kind }) => kind) : []
  }
  assert.deepEqual(targets(false), ['server-reflexive'])
  assert.deepEqual(targets(true), ['port-mapped', 'server-reflexive'])
})

test('when LAN or IPv6 may work, tactics for hard NATs are planned anyway, and can wait', () => {
  const me = { nat: sequential('APDM'), candidates: mine }
  const peer = { nat: sequential('APDM'), candidates: [host('192.168.1.3:5000'), ...theirs] }
  const result = plan(me, { ...peer, sameNat: true })
  assert.ok('hasEasierPath' in result && result.hasEasierPath)
  assert.equal(result.strategy, 'target-list')
  assert.equal(result.directBudget, 60)
  assert.deepEqual(result.targets, [host('192.168.1.3:5000'), ...theirs])
  const apart = plan(me, { ...peer, sameNat: false })
  assert.ok('hasEasierPath' in apart && !apart.hasEasierPath)
})

test('the LAN comes first, then IPv6, then port-mapped, then the rest', () => {
  const result = plan(
    { nat: nat('EIM'), candidates: [...mine, host('[2a00::1]:4000')] },
    {
      nat: nat('EIM'),
      candidates: [
        reflexive('11.0.0.2:1'),
        candidate('port-mapped', '11.0.0.2:2'),
        host('[2a00::2]:3'),
        host('192.168.1.9:4'),
      ],
      sameNat: false,
    },
  )
  assert.ok(result.strategy === 'direct')
  // The private host candidate of another network is missing.
  assert.deepEqual(
    result.targets.map(({ endpoint }) => endpoint.port),
    [3, 2, 1],
  )
})

test('an endpoint that is both host and server-reflexive candidate counts as the better kind', () => {
  const both = [host('11.0.0.2:5000'), ...theirs]
  for (const candidates of [both, both.toReversed()]) {
    const result = plan(
      { nat: nat('none'), candidates: mine },
      { nat: nat('none'), candidates, sameNat: true },
    )
    assert.deepEqual(result.strategy === 'direct' && result.targets, [host('11.0.0.2:5000')])
  }
})

test('without usable addresses on both sides there is no plan, but advice', () => {
  const nobody = { nat: nat('unknown'), candidates: [] }
  const closed = { nat: nat('EIM'), candidates: theirs }
  for (const result of [
    plan(nobody, { ...nobody, sameNat: false }),
    plan(nobody, { ...closed, sameNat: false }),
    plan(closed, { ...nobody, sameNat: false }),
  ]) {
    assert.ok(result.strategy === 'none')
    assert.match(result.reason, /\.$/)
    assert.match(result.advice, /STUN/)
  }
})

test('a side that accepts packets from any source can wait for a peer without addresses', () => {
  const open = { nat: nat('none'), candidates: [reflexive('11.0.0.2:5000')] }
  const nobody = { nat: nat('unknown'), candidates: [] }
  assert.deepEqual(plan(open, { ...nobody, sameNat: false }), {
    strategy: 'direct',
    budget: 60,
    attemptMs: 120_000,
    targets: [],
  })
  assert.equal(plan(nobody, { ...open, sameNat: false }).strategy, 'direct')
})

test('targets are never multicast, broadcast, reserved or zoned addresses, nor loopback from outside', () => {
  const unusable = ['224.0.0.1:1', '255.255.255.255:1', '0.0.0.0:1', '240.0.0.1:1', '127.0.0.1:1', '[::1]:1']
  const result = plan(
    { nat: nat('EIM'), candidates: [...mine, host('[2a00::1]:4000')] },
    {
      nat: nat('EIM'),
      candidates: [...unusable, '[fe80::1]:1', '[ff02::1]:1', '11.0.0.9:1'].map(reflexive),
      sameNat: false,
    },
  )
  assert.ok(result.strategy === 'direct')
  assert.deepEqual(result.targets, [reflexive('11.0.0.9:1')])
})

test('on a machine with only loopback, loopback is used', () => {
  const side = (port: number) => ({ nat: nat('none'), candidates: [host(`127.0.0.1:${port}`)] })
  const result = plan(side(1), { ...side(2), sameNat: true })
  assert.ok(result.strategy === 'direct')
  assert.deepEqual(result.targets, [host('127.0.0.1:2')])
})

const candidates = fc.array(
  fc
    .tuple(
      fc.constantFrom<CandidateKind>(
        'host',
        'server-reflexive',
        'port-mapped',
        'peer-reflexive',
        'predicted',
      ),
      fc.oneof(
        fc.ipV4(),
        fc.constantFrom('192.168.1.9', '10.0.0.2', '11.0.0.5', '127.0.0.1', '224.0.0.5'),
        fc.constantFrom('2a00::7', 'fe80::1', 'fd00::2', '::1'),
      ),
      fc.integer({ min: 1, max: 9 }),
    )
    .map(([kind, address, port]) =>
      candidate(kind, address.includes(':') ? `[${address}]:${port}` : `${address}:${port}`),
    ),
  { maxLength: 100 },
)
const blocks = fc
  .tuple(fc.integer({ min: 1, max: 65535 }), fc.integer({ min: 1, max: 65535 }))
  .map(([a, b]): PortBlock => ({ first: Math.min(a, b), last: Math.max(a, b) }))
const allocations: fc.Arbitrary<Allocation> = fc.oneof(
  fc.constantFrom<Allocation>({ type: 'unknown' }, { type: 'preserving' }, { type: 'random' }),
  blocks.map((block): Allocation => ({ type: 'random', block })),
  fc
    .tuple(fc.integer({ min: -65535, max: 65535 }), blocks)
    .map(([step, block]): Allocation => ({ type: 'sequential', step: step || 1, block })),
)
const profiles: fc.Arbitrary<NatProfile> = fc.record({
  mapping: fc.constantFrom(...mappings),
  filtering: fc.constantFrom(...filterings),
  allocation: allocations,
})

test('targets are few, distinct and from the peer’s candidates; every plan has a bounded budget and time', () => {
  fc.assert(
    fc.property(candidates, candidates, profiles, profiles, fc.boolean(), (ours, others, a, b, sameNat) => {
      const result = plan({ nat: a, candidates: ours }, { nat: b, candidates: others, sameNat })
      if (result.strategy === 'none') return
      assert.ok(result.targets.length <= 12)
      assert.ok(result.budget <= (result.strategy === 'direct' ? 60 : 2_000), `${result.budget}`)
      assert.ok(result.attemptMs <= 480_000)
      if ('searchSize' in result)
        assert.ok(result.searchSize + result.directBudget <= result.budget && result.searchSize <= 860)
      const keys = result.targets.map(({ endpoint }) => formatEndpoint(endpoint))
      assert.equal(new Set(keys).size, keys.length)
      for (const target of result.targets) assert.ok(others.includes(target))
    }),
  )
})

test('both sides reach the same verdict from the same facts', () => {
  fc.assert(
    fc.property(candidates, candidates, profiles, profiles, fc.boolean(), (ours, others, a, b, sameNat) => {
      const [left, right] = [
        { nat: a, candidates: ours },
        { nat: b, candidates: others },
      ]
      assert.equal(plan(left, { ...right, sameNat }).strategy, plan(right, { ...left, sameNat }).strategy)
    }),
  )
})
