import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Action, Machine } from '../../src/base/protocol-machine.ts'
import { drive } from '../../src/net/protocol-machine-driver.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const somewhere = { address: '11.0.0.1', port: 1 }

/** A machine that is due at given times and emits each as an event. */
function alarmMachine(times: number[]): Machine<number> & { times: number[] } {
  return {
    times,
    nextTimeout: () => times[0] ?? null,
    handleTimeout: (now): Action<number>[] => {
      const due = times.filter((time) => time <= now)
      times.splice(0, due.length)
      return due.map((event) => ({ type: 'event', event }))
    },
    handleDatagram: (now, bytes, from) => [
      { type: 'send', to: from, bytes },
      { type: 'event', event: now },
    ],
  }
}

test('a machine that is due is run at once, and later whenever it is due', async () => {
  const clock = new VirtualClock()
  const emitted: [number, number][] = []
  drive({
    machine: alarmMachine([0, 10, 25]),
    clock,
    send: () => {},
    onEvent: (event) => emitted.push([clock.now(), event]),
  })
  assert.deepEqual(emitted, [[0, 0]])
  await clock.advance(100)
  assert.deepEqual(emitted, [
    [0, 0],
    [10, 10],
    [25, 25],
  ])
  assert.equal(clock.pendingTimers, 0)
})

test('there is one timer at most, moved when the machine’s next timeout changes', async () => {
  const clock = new VirtualClock()
  const machine = alarmMachine([50])
  const emitted: number[] = []
  const driver = drive({ machine, clock, send: () => {}, onEvent: () => emitted.push(clock.now()) })
  driver.run(() => {
    machine.times.unshift(20)
    return []
  })
  assert.equal(clock.pendingTimers, 1)
  await clock.advance(100)
  assert.deepEqual(emitted, [20, 50])
})

test('actions are performed in order, and the actions of a handler come after them', () => {
  const clock = new VirtualClock()
  const log: string[] = []
  const driver = drive<string>({
    machine: { nextTimeout: () => null, handleTimeout: () => [], handleDatagram: () => [] },
    clock,
    send: (bytes) => log.push(`send ${bytes[0]}`),
    onEvent: (event) => {
      log.push(event)
      if (event === 'first') driver.run(() => [{ type: 'event', event: 'nested' }])
    },
  })
  driver.run(() => [
    { type: 'event', event: 'first' },
    { type: 'send', to: somewhere, bytes: Uint8Array.of(7) },
    { type: 'event', event: 'last' },
  ])
  assert.deepEqual(log, ['first', 'send 7', 'last', 'nested'])
})

test('after stop nothing is performed and no timer is left, even when stopped by an event', async () => {
  const clock = new VirtualClock()
  const emitted: number[] = []
  const driver = drive({
    machine: alarmMachine([10, 10, 20]),
    clock,
    send: () => {},
    onEvent: (event) => {
      emitted.push(event)
      driver.stop()
    },
  })
  await clock.advance(100)
  driver.receive(Uint8Array.of(1), somewhere)
  driver.run(() => [{ type: 'event', event: 99 }])
  assert.deepEqual(emitted, [10])
  assert.equal(clock.pendingTimers, 0)
})

test('a handler that throws does not stop the machine', async () => {
  const clock = new VirtualClock()
  const emitted: number[] = []
  const driver = drive({
    machine: alarmMachine([30]),
    clock,
    send: () => {
      throw new Error('of the handler')
    },
    onEvent: (event) => emitted.push(event),
  })
  assert.throws(() => driver.receive(Uint8Array.of(1), somewhere), /of the handler/)
  await clock.advance(50)
  assert.deepEqual(emitted, [0, 30])
})
