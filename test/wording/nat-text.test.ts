import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { NatProfile } from '../../src/base/nat-profile.ts'
import { type NatFacts, natText, reachOf } from '../../src/wording/nat-text.ts'

const server = { address: '11.0.0.1', port: 3478 }
const mapped = { address: '9.9.9.9', port: 4000 }
const local = [{ address: '192.168.1.2', port: 4000 }]

function facts(profile: NatProfile, more: Partial<NatFacts> = {}): NatFacts {
  const view = { profile, publicEndpoints: [mapped], observations: [{ server, mapped }] }
  return { view, six: [], local, mapping: null, layers: 'unknown', ...more }
}

const home: NatProfile = { mapping: 'EIM', filtering: 'APDF', allocation: { type: 'preserving' } }
const mobile: NatProfile = { mapping: 'APDM', filtering: 'APDF', allocation: { type: 'random' } }
const counting: NatProfile = {
  mapping: 'APDM',
  filtering: 'APDF',
  allocation: { type: 'sequential', step: 2 },
}

const plansOf = (given: NatFacts) => Object.fromEntries(reachOf(given).map(({ peer, plan }) => [peer, plan]))

test('the plans are the same as an agent makes', () => {
  assert.deepEqual(plansOf(facts(home)), {
    none: 'direct',
    'EIM+EIF': 'direct',
    'EIM+ADF': 'direct',
    'EIM+APDF': 'direct',
    'ADM+ADF sequential': 'range',
    'APDM+APDF sequential': 'range',
    'APDM+APDF random': 'birthday',
  })
  assert.deepEqual(plansOf(facts(mobile)), {
    none: 'direct',
    'EIM+EIF': 'direct',
    'EIM+ADF': 'direct',
    'EIM+APDF': 'birthday',
    'ADM+ADF sequential': 'assigned-range',
    'APDM+APDF sequential': 'none',
    'APDM+APDF random': 'none',
  })
})

test('with a port that the router opened everybody is reached directly, unless there is another NAT', () => {
  const opened = (address: string) => ({
    external: { address, port: 4000 },
    language: 'PCP' as const,
    router: '192.168.1.1',
  })
  const plans = Object.values(plansOf(facts(mobile, { mapping: opened('9.9.9.9') })))
  assert.ok(plans.every((plan) => plan === 'direct'))
  assert.deepEqual(plansOf(facts(mobile, { mapping: opened('100.64.0.9') })), plansOf(facts(mobile)))
})

test('when no server answered there are no plans, and the first line says so', () => {
  const unseen = facts({ mapping: 'unknown', filtering: 'unknown', allocation: { type: 'unknown' } })
  const blind = { ...unseen, view: { ...unseen.view, publicEndpoints: [], observations: [] } }
  assert.deepEqual(reachOf(blind), [])
  assert.match(natText(blind)[0] ?? '', /No STUN server answered/)
})

test('the text for a mobile network names filter, ports, carrier, who is not reached, and what would help', () => {
  const story = natText(facts(mobile, { layers: 'carrier' })).join('\n')
  for (const expected of [
    /address and port-dependent mapping/,
    /accepts packets only from addresses and ports that we sent to/,
    /chooses ports at random\./,
    /carrier-grade NAT/,
    /There is no IPv6/,
    /Not reached[^:]*:\n {2}- those whose router counts up a port for each destination\n {2}- .*random/,
    /What would help:\n {2}- ask the provider/,
    /11\.0\.0\.1:3478 sees 9\.9\.9\.9:4000/,
    /our own: 192\.168\.1\.2:4000/,
  ]) {
    assert.match(story, expected)
  }
})

test('the text names step, block, hairpinning, lifetime and IPv6 when they are known', () => {
  const block = { first: 2048, last: 3071 }
  const profile: NatProfile = {
    ...counting,
    allocation: { type: 'sequential', step: 2, block },
    lifetimeMs: 40_000,
  }
  const base = facts(profile, { six: [{ address: '2a00::5', port: 1 }] })
  const story = natText({ ...base, view: { ...base.view, hairpins: false } }).join('\n')
  assert.match(story, /steps of 2 out of 2048 to 3071/)
  assert.match(story, /no hairpinning/)
  assert.match(story, /at least 40 s without traffic/)
  assert.match(story, /IPv6 works: 2a00::5/)
  assert.doesNotMatch(story, /turn on IPv6/)
})

test('there is no advice when everybody is reached directly', () => {
  const open: NatProfile = { mapping: 'EIM', filtering: 'EIF', allocation: { type: 'preserving' } }
  assert.doesNotMatch(natText(facts(open)).join('\n'), /What would help/)
})

test('the text says when the servers are in the local network and show no public address', () => {
  for (const address of ['192.168.1.20', 'fd00::2', '127.0.0.1', '100.64.0.9']) {
    for (const mapping of ['none', 'EIM'] as const) {
      const seen = { address, port: 4000 }
      const view = {
        profile: { ...home, mapping },
        publicEndpoints: [seen],
        observations: [{ server, mapped: seen }],
      }
      const six = address.includes(':') ? [seen] : []
      const story = natText(facts(home, { view, six })).join('\n')
      assert.match(story, /The STUN servers, which are not on the Internet, see us at /)
      assert.doesNotMatch(story, /is public|Internet sees|IPv6 works/)
    }
  }
  const open = facts({ ...home, mapping: 'none' }, { six: [{ address: '2a00::1', port: 4000 }] })
  assert.match(
    natText(open).join('\n'),
    /our own address is public. The Internet sees us at 9\.9\.9\.9:4000.*IPv6 works: 2a00::1/s,
  )
})
