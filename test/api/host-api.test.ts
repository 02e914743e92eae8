// The control API of a host in the simulated world.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { hostRoutes } from '../../src/api/host-routes.ts'
import { Problem } from '../../src/base/problem.ts'
import type { HostAdmin } from '../../src/daemon/host-admin.ts'
import { HostControl } from '../../src/daemon/host-control.ts'
import type { HostCounters } from '../../src/host/host.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'
import { inWorld } from '../harness/world.ts'
import { ApiClient } from './api-client.ts'

const maxScanAgeMs = 180_000
/** No test here calls it. */
const admin = {} as HostAdmin
const settings = { capacity: 100, outboxCapacity: 20, seenCapacity: 1_000, perDay: 400 }
const nothing: HostCounters = {
  letters: {},
  mails: {},
  entries: 0,
  waitingMails: 0,
  waitingIntroductions: 0,
  seenLetters: 0,
  sentInDay: 0,
}

test('the status shows budgets, letters and mails, and nothing about players', async () => {
  await inWorld({ seed: 701 }, async (world) => {
    const [anna, ben] = [world.player('anna'), world.player('ben')]
    await world.join(anna, ben)
    await world.until('both are linked', () => world.areLinked(anna, ben))
    const control = new HostControl({
      clock: world.clock,
      host: world.host,
      settings,
      maxScanAgeMs,
      admin,
      address: 'meet@mail.test',
      rooms: ['lobby'],
    })
    for (const event of world.hostEvents) control.handleEvent(event)
    const { body } = await new ApiClient(world.clock, hostRoutes(control)).ask('GET', '/v1/status')
    assert.deepEqual([body.state, body.mailbox.state, body.address], ['ready', 'connected', 'm…@mail.test'])
    assert.deepEqual(body.budgets.table, { used: 2, limit: 100 })
    assert.deepEqual(body.letters, [{ kind: 'request', outcome: 'accepted', reason: null, count: 2 }])
    assert.ok(body.mails.some((mail: { kind: string }) => mail.kind === 'reply'))
    const told = JSON.stringify(body)
    for (const player of [anna, ben]) assert.ok(!told.includes(player.id) && !told.includes(player.address))
  })
})

test('the status shows that the host starts or has trouble, with masked addresses', async () => {
  const clock = new VirtualClock()
  const counters: HostCounters = { ...nothing, letters: { 'unknown dropped wrong-key': 3 } }
  const control = new HostControl({
    clock,
    host: { counters: () => counters, scannedAt: null },
    settings,
    maxScanAgeMs,
    admin,
    address: 'meet@mail.test',
    rooms: [],
  })
  const client = new ApiClient(clock, hostRoutes(control))
  const before = (await client.ask('GET', '/v1/status')).body
  assert.deepEqual([before.state, before.mailbox.state, before.trouble], ['starting', 'connecting', null])
  await clock.advance(1_000)
  control.handleEvent({
    event: 'mailbox',
    state: 'disconnected',
    reason: 'no answer from 198.51.100.7',
    retryInMs: 5,
  })
  control.handleEvent({
    event: 'trouble',
    problem: new Problem('internal', 'A letter of x@y.test failed.', 'Report it.'),
  })
  const { body } = await client.ask('GET', '/v1/status')
  assert.equal(body.mailbox.reason, 'no answer from 198.51.…')
  assert.deepEqual(
    [body.trouble.message, body.trouble.remedy],
    ['A letter of x…@y.test failed.', 'Report it.'],
  )
  assert.deepEqual(body.letters, [{ kind: 'unknown', outcome: 'dropped', reason: 'wrong-key', count: 3 }])
})

test('when the database cannot be read, the answer is an error with a remedy', async () => {
  const clock = new VirtualClock()
  const counters = () => {
    throw new Problem('database', 'The database failed.', 'Look at the disk.')
  }
  const control = new HostControl({
    clock,
    host: { counters, scannedAt: null },
    settings,
    maxScanAgeMs,
    admin,
    address: 'a@b.c',
    rooms: [],
  })
  const { status, body } = await new ApiClient(clock, hostRoutes(control)).ask('GET', '/v1/status')
  assert.deepEqual([status, body.error.remedy], [503, 'Look at the disk.'])
})
