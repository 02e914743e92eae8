// The port that the router opens: in time for the first request or as a later change, with a bounded delay.

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

/** A router that maps a port after this time, or none if `given` is null. */
function openPort(afterMs: number, given: PortMapping | null = mapping) {
  const clock = new VirtualClock()
  const state = { changes: 0, notices: [] as string[], closed: 0, ports: [] as number[] }
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
    onCandidatesChange: () => state.changes++,
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

test('a port that opens soon is awaited, becomes a candidate and emits no change', async () => {
  const { clock, state, port } = openPort(100)
  assert.equal(port.candidate, null)
  assert.equal(await timeOf(clock, port.requestMapping(4321)), 100)
  assert.deepEqual(port.candidate, { kind: 'port-mapped', endpoint: mapping.external })
  assert.deepEqual(state, {
    changes: 0,
    notices: ['The router opened port 4321 (UPnP).'],
    closed: 0,
    ports: [4321],
  })
  await port.close()
  assert.deepEqual([state.closed, clock.pendingTimers], [1, 0])
})

test('the wait lasts at most 400 ms, and a later mapping or its loss emits a change', async () => {
  const { clock, state, port, change } = openPort(2_000)
  assert.equal(await timeOf(clock, port.requestMapping(4321)), graceMs)
  assert.equal(graceMs, 400)
  assert.equal(state.changes, 1)
  assert.ok(port.candidate)
  change(null)
  assert.equal(state.changes, 2)
  assert.equal(port.candidate, null)
  await port.close()
})

test('the wait ends when the router answers that it maps no port', async () => {
  const { clock, state, port } = openPort(20, null)
  assert.equal(await timeOf(clock, port.requestMapping(4321)), 20)
  assert.equal(port.candidate, null)
  assert.deepEqual([state.changes, state.notices], [0, []])
  await port.close()
})

test('an external address that is not public is still a candidate, and a notice explains it', async () => {
  for (const address of ['192.168.7.2', '100.64.0.9', '10.0.0.1']) {
    const external = { address, port: 4321 }
    const { clock, state, port } = openPort(10, { ...mapping, external })
    await timeOf(clock, port.requestMapping(4321))
    assert.deepEqual(port.candidate, { kind: 'port-mapped', endpoint: external })
    assert.match(state.notices.join(), /not public: it is behind another NAT/)
    assert.doesNotMatch(state.notices.join(), new RegExp(address.replaceAll('.', '\\.')))
    await port.close()
  }
})

test('closing ends the wait and removes the mapping, and nothing is emitted afterwards', async () => {
  const { clock, state, port, change } = openPort(5_000)
  const requested = port.requestMapping(4321)
  await clock.advance(10)
  await port.close()
  await requested
  change(mapping)
  assert.deepEqual(state, { changes: 0, notices: [], closed: 1, ports: [4321] })
  assert.equal(port.candidate, null)
})

test('a mapper that cannot be loaded or fails counts as no router', async () => {
  const clock = new VirtualClock()
  const port = new PortMappedCandidate({
    clock,
    crypto: realCrypto,
    mapPort: async () => {
      throw new Error('no such module')
    },
    onCandidatesChange: () => assert.fail('no change'),
    onNotice: () => assert.fail('no notice'),
  })
  assert.equal(await timeOf(clock, port.requestMapping(1)), 0)
  await port.close()
  const closed = openPort(1)
  await closed.port.close()
  await closed.port.requestMapping(1)
  assert.deepEqual(closed.state.ports, [], 'once closed, the router gets no request')
})
