// The port that the router opens: in time for the first request or as news, never holding anything up.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { graceMs, PortMappedCandidate } from '../../src/agent/network/port-mapped-candidate.ts'
import type { PortMapper, PortMapping } from '../../src/net/portmap/port-mapper.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const mapping: PortMapping = {
  external: { address: '11.9.0.10', port: 4321 },
  language: 'UPnP',
  router: '10.0.1.1',
}

/** A router that gives a port after so long; `null` for none at all. */
function openPort(afterMs: number, given: PortMapping | null = mapping) {
  const clock = new VirtualClock()
  const state = { news: 0, notices: [] as string[], closed: 0, ports: [] as number[] }
  let change: (mapping: PortMapping | null) => void = () => {}
  const port = new PortMappedCandidate({
    clock,
    crypto: realCrypto,
    mapPort: async ({ port, onChange }): Promise<PortMapper> => {
      state.ports.push(port)
      change = onChange
      const settled = new Promise<void>((resolve) => {
        clock.after(afterMs, () => {
          if (given) onChange(given)
          resolve()
        })
      })
      return { settled, close: async () => void state.closed++ }
    },
    onCandidatesChange: () => state.news++,
    onNotice: (notice) => state.notices.push(notice),
  })
  return { clock, state, port, change: (now: PortMapping | null) => change(now) }
}

async function timeOf(clock: VirtualClock, work: Promise<void>): Promise<number> {
  let at = -1
  void work.then(() => {
    at = clock.now()
  })
  await clock.advance(10_000)
  return at
}

test('a port that is there soon is waited for, a candidate, and no news', async () => {
  const { clock, state, port } = openPort(100)
  assert.equal(port.candidate, null)
  assert.equal(await timeOf(clock, port.requestMapping(4321)), 100)
  assert.deepEqual(port.candidate, { kind: 'port-mapped', endpoint: mapping.external })
  assert.deepEqual(state, {
    news: 0,
    notices: ['The router opened port 4321 (UPnP).'],
    closed: 0,
    ports: [4321],
  })
  await port.close()
  assert.deepEqual([state.closed, clock.pendingTimers], [1, 0])
})

test('nobody waits longer than 400 ms; what comes later is news, and so is what goes', async () => {
  const { clock, state, port, change } = openPort(2_000)
  assert.equal(await timeOf(clock, port.requestMapping(4321)), graceMs)
  assert.equal(graceMs, 400)
  assert.equal(state.news, 1)
  assert.ok(port.candidate)
  change(null)
  assert.equal(state.news, 2)
  assert.equal(port.candidate, null)
  await port.close()
})

test('a router that has nothing to give is waited for no longer than it takes to say so', async () => {
  const { clock, state, port } = openPort(20, null)
  assert.equal(await timeOf(clock, port.requestMapping(4321)), 20)
  assert.equal(port.candidate, null)
  assert.deepEqual([state.news, state.notices], [0, []])
  await port.close()
})

test('an address that is not public is offered as it is, and the person is told what it means', async () => {
  for (const address of ['192.168.7.2', '100.64.0.9', '10.0.0.1']) {
    const external = { address, port: 4321 }
    const { clock, state, port } = openPort(10, { ...mapping, external })
    await timeOf(clock, port.requestMapping(4321))
    assert.deepEqual(port.candidate, { kind: 'port-mapped', endpoint: external })
    assert.match(state.notices.join(), /not public: it stands behind another NAT/)
    assert.doesNotMatch(state.notices.join(), new RegExp(address.replaceAll('.', '\\.')))
    await port.close()
  }
})

test('closing ends the waiting, gives the port back, and nothing is told afterwards', async () => {
  const { clock, state, port, change } = openPort(5_000)
  const asked = port.requestMapping(4321)
  await clock.advance(10)
  await port.close()
  await asked
  change(mapping)
  assert.deepEqual(state, { news: 0, notices: [], closed: 1, ports: [4321] })
  assert.equal(port.candidate, null)
})

test('what cannot be loaded or fails at once is as good as no router', async () => {
  const clock = new VirtualClock()
  const port = new PortMappedCandidate({
    clock,
    crypto: realCrypto,
    mapPort: async () => {
      throw new Error('no such module')
    },
    onCandidatesChange: () => assert.fail('no news'),
    onNotice: () => assert.fail('no notice'),
  })
  assert.equal(await timeOf(clock, port.requestMapping(1)), 0)
  await port.close()
  const closed = openPort(1)
  await closed.port.close()
  await closed.port.requestMapping(1)
  assert.deepEqual(closed.state.ports, [], 'once closed nobody is asked')
})
