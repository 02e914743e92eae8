import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerRecovery } from '../../src/host/representative/worker-recovery.ts'

function idOf(number: number): Uint8Array {
  return new Uint8Array(new Uint32Array([number, 0, 0, 0]).buffer)
}

test('a worker that starts asks for all it finds until its mailbox was empty, and takes what is sent again, in whatever order', () => {
  const catchingUp = new WorkerRecovery()
  assert.equal(catchingUp.asksFor(idOf(1), null), false)
  catchingUp.begin(1_000)
  assert.equal(catchingUp.asksFor(idOf(1), null), true)
  assert.equal(catchingUp.asksFor(idOf(2), null), true)
  // The mailbox shows the newest first.
  assert.equal(catchingUp.asksFor(idOf(2), null), false)
  assert.equal(catchingUp.asksFor(idOf(3), null), true)
  assert.equal(catchingUp.asksFor(idOf(4), 1_500), false)
  assert.equal(catchingUp.asksFor(idOf(5), null), false)
})

test('a worker whose mailbox was away asks again only when it may have counted as dead', () => {
  const catchingUp = new WorkerRecovery()
  catchingUp.begin(0)
  assert.equal(catchingUp.asksFor(idOf(1), 10), false)
  catchingUp.noteLost(1_000)
  catchingUp.noteLost(30_000)
  catchingUp.noteBack(50_000, 60_000)
  assert.equal(catchingUp.asksFor(idOf(2), 900), false)
  catchingUp.noteLost(100_000)
  catchingUp.noteBack(160_000, 60_000)
  assert.equal(catchingUp.asksFor(idOf(3), 99_000), true)
  assert.equal(catchingUp.asksFor(idOf(4), 161_000), false)
})

test('it asks for so many and no more', () => {
  const catchingUp = new WorkerRecovery()
  catchingUp.begin(0)
  const asked = Array.from({ length: 5_000 }, (_, number) => catchingUp.asksFor(idOf(number), null))
  assert.equal(asked.filter(Boolean).length, 4_096)
  assert.equal(asked.lastIndexOf(true), 4_095)
})
