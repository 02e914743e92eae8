import assert from 'node:assert/strict'
import { test } from 'node:test'
import { NetworkMonitor } from '../../src/net/network-monitor.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

function startMonitor(first: readonly string[]) {
  const clock = new VirtualClock()
  const state = { addresses: first, changes: 0, wakes: 0, polls: 0 }
  const monitor = new NetworkMonitor({
    clock,
    pollMs: 2_000,
    addresses: () => {
      state.polls++
      return state.addresses
    },
    onChange: () => state.changes++,
    onWake: () => state.wakes++,
  })
  return { clock, state, monitor }
}

test('another address is noticed once within two seconds, and the order of addresses does not matter', async () => {
  const { clock, state } = startMonitor(['192.168.1.5', '10.0.0.5'])
  state.addresses = ['10.0.0.5', '192.168.1.5']
  await clock.advance(60_000)
  assert.deepEqual([state.changes, state.wakes], [0, 0])
  state.addresses = ['172.16.0.5']
  await clock.advance(2_000)
  assert.equal(state.changes, 1)
  await clock.advance(60_000)
  assert.deepEqual([state.changes, state.wakes], [1, 0])
})

test('losing the network is no change, and neither is its return', async () => {
  const { clock, state } = startMonitor(['192.168.1.5'])
  state.addresses = ['127.0.0.1']
  await clock.advance(10_000)
  state.addresses = []
  await clock.advance(10_000)
  state.addresses = ['192.168.1.5']
  await clock.advance(10_000)
  assert.equal(state.changes, 0)
})

test('a sleep is noticed once by either clock, and causes no additional polls', async () => {
  const { clock, state } = startMonitor(['192.168.1.5'])
  clock.sleep(3_600_000)
  await clock.advance(0)
  assert.equal(state.wakes, 1)
  assert.equal(state.polls, 2)
  clock.jumpWall(3_600_000)
  await clock.advance(10_000)
  assert.equal(state.wakes, 2)
  clock.jumpWall(-3_600_000)
  await clock.advance(60_000)
  assert.deepEqual([state.wakes, state.changes], [2, 0])
})

test('a change callback may stop the monitor', async () => {
  const clock = new VirtualClock()
  let addresses = ['192.168.1.5']
  const monitor = new NetworkMonitor({
    clock,
    pollMs: 2_000,
    addresses: () => addresses,
    onChange: () => monitor.stop(),
    onWake: () => {},
  })
  addresses = ['192.168.1.6']
  await clock.advance(10_000)
  assert.equal(clock.pendingTimers, 0)
})
