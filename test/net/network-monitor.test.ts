import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NetworkMonitor } from '../../src/net/network-monitor.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

function makeWatch(first: readonly string[]) {
  const clock = new VirtualClock()
  const state = { addresses: first, changes: 0, wakes: 0, looks: 0 }
  const watch = new NetworkMonitor({
    clock,
    lookMs: 2_000,
    addresses: () => {
      state.looks++
      return state.addresses
    },
    onChange: () => state.changes++,
    onWake: () => state.wakes++,
  })
  return { clock, state, watch }
}

test('another address is noticed within two seconds, once, and the order of addresses means nothing', async () => {
  const { clock, state } = makeWatch(['192.168.1.5', '10.0.0.5'])
  state.addresses = ['10.0.0.5', '192.168.1.5']
  await clock.advance(60_000)
  assert.deepEqual([state.changes, state.wakes], [0, 0])
  state.addresses = ['172.16.0.5']
  await clock.advance(2_000)
  assert.equal(state.changes, 1)
  await clock.advance(60_000)
  assert.deepEqual([state.changes, state.wakes], [1, 0])
})

test('no network at all is no other network, and the same one coming back is no news', async () => {
  const { clock, state } = makeWatch(['192.168.1.5'])
  state.addresses = ['127.0.0.1']
  await clock.advance(10_000)
  state.addresses = []
  await clock.advance(10_000)
  state.addresses = ['192.168.1.5']
  await clock.advance(10_000)
  assert.equal(state.changes, 0)
})

test('a computer that slept is noticed by either clock, once, and looked at no more often for it', async () => {
  const { clock, state } = makeWatch(['192.168.1.5'])
  clock.sleep(3_600_000)
  await clock.advance(0)
  assert.equal(state.wakes, 1)
  assert.equal(state.looks, 2)
  clock.jumpWall(3_600_000)
  await clock.advance(10_000)
  assert.equal(state.wakes, 2)
  clock.jumpWall(-3_600_000)
  await clock.advance(60_000)
  assert.deepEqual([state.wakes, state.changes], [2, 0])
})

test('whoever is told of a change may stop the watch', async () => {
  const clock = new VirtualClock()
  let addresses = ['192.168.1.5']
  const watch = new NetworkMonitor({
    clock,
    lookMs: 2_000,
    addresses: () => addresses,
    onChange: () => watch.stop(),
    onWake: () => {},
  })
  addresses = ['192.168.1.6']
  await clock.advance(10_000)
  assert.equal(clock.pendingTimers, 0)
})
