import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { test } from 'node:test'
import { systemClock } from '../../src/runtime/system-clock.ts'

/** Blocks this process while another one sends a datagram to it. */
function stallWhileOneArrives(port: number): void {
  const send = `const s = require('dgram').createSocket('udp4'); s.send('x', ${port}, '127.0.0.1', () => s.close())`
  assert.equal(spawnSync(process.execPath, ['-e', send]).status, 0)
}

test('what arrives while the process is blocked is read before a timer that was due fires', async () => {
  const socket = createSocket('udp4').bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const order: string[] = []
  socket.on('message', () => order.push('datagram'))
  const { promise: fired, resolve } = Promise.withResolvers<void>()
  systemClock.after(1, () => {
    order.push('timer')
    resolve()
  })
  stallWhileOneArrives(socket.address().port)
  await fired
  socket.close()
  assert.deepEqual(order, ['datagram', 'timer'])
})

test('a late timer can still be cancelled before it has fired', async () => {
  let fired = false
  const cancel = systemClock.after(1, () => {
    fired = true
  })
  // Due in the same turn of the event loop as the timer above, and runs after it.
  const { promise: cancelled, resolve } = Promise.withResolvers<void>()
  setTimeout(() => {
    cancel()
    resolve()
  }, 1)
  const end = performance.now() + 50
  while (performance.now() < end);
  await cancelled
  await new Promise<void>((resolve) => setTimeout(resolve, 20))
  assert.equal(fired, false)
})
