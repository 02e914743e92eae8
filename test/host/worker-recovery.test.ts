import assert from 'node:assert/strict'
import { test } from 'node:test'
import { WorkerRecovery } from '../../src/host/representative/worker-recovery.ts'

function idOf(number: number): Uint8Array {
  return new Uint8Array(new Uint32Array([number, 0, 0, 0]).buffer)
}

test('a worker that starts asks for every letter until its mailbox was empty, and takes letters that are sent again, in any order', () => {
  const recovery = new WorkerRecovery()
  assert.equal(recovery.shouldRequest(idOf(1), null), false)
  recovery.begin(1_000)
  assert.equal(recovery.shouldRequest(idOf(1), null), true)
  assert.equal(recovery.shouldRequest(idOf(2), null), true)
  // The mailbox shows the newest first.
  assert.equal(recovery.shouldRequest(idOf(2), null), false)
  assert.equal(recovery.shouldRequest(idOf(3), null), true)
  assert.equal(recovery.shouldRequest(idOf(4), 1_500), false)
  assert.equal(recovery.shouldRequest(idOf(5), null), false)
})

test('a worker that lost its mailbox asks again only if it may have counted as dead', () => {
  const recovery = new WorkerRecovery()
  recovery.begin(0)
  assert.equal(recovery.shouldRequest(idOf(1), 10), false)
  recovery.noteLost(1_000)
  recovery.noteLost(30_000)
  recovery.noteBack(50_000, 60_000)
  assert.equal(recovery.shouldRequest(idOf(2), 900), false)
  recovery.noteLost(100_000)
  recovery.noteBack(160_000, 60_000)
  assert.equal(recovery.shouldRequest(idOf(3), 99_000), true)
  assert.equal(recovery.shouldRequest(idOf(4), 161_000), false)
})

test('a worker asks for a limited number of letters', () => {
  const recovery = new WorkerRecovery()
  recovery.begin(0)
  const requested = Array.from({ length: 5_000 }, (_, number) => recovery.shouldRequest(idOf(number), null))
  assert.equal(requested.filter(Boolean).length, 4_096)
  assert.equal(requested.lastIndexOf(true), 4_095)
})
