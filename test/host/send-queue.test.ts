// Which mails a process of several has in hand.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SendQueue, type SendQueueOptions } from '../../src/host/outbox/send-queue.ts'
import { defaultHostSettings } from '../../src/host/settings.ts'
import type { Urgency, WaitingMail } from '../../src/store/outbox.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const mailLeaseMs = 1_000

/** An outbox of which each mail is claimed as long as others of the same database would see it. */
class Shared {
  readonly clock = new VirtualClock()
  readonly claimedUntil = new Map<number, number>()
  readonly queue: SendQueue

  constructor(mails: number) {
    for (let order = 0; order < mails; order++) this.claimedUntil.set(order, 0)
    const leases = {
      leaseMails: (_: Urgency, { now, until, limit }: { now: number; until: number; limit: number }) => {
        const free = [...this.claimedUntil].filter(([, claimed]) => claimed <= now).slice(0, limit)
        for (const [order] of free) this.claimedUntil.set(order, until)
        return free.map(([order]) => ({ order }) as WaitingMail)
      },
      release: (given: readonly WaitingMail[]) => {
        for (const { order } of given) this.claimedUntil.set(order, 0)
      },
    }
    const options = {
      leases,
      sender: { concurrency: 3 },
      database: { path: '' },
      budget: { left: () => Number.POSITIVE_INFINITY },
      busy: new Set(),
      onMoreIn: () => {},
    } as unknown as SendQueueOptions
    const context = { clock: this.clock, settings: { ...defaultHostSettings, mailLeaseMs } }
    this.queue = new SendQueue(context, options)
  }

  next(): number | undefined {
    return this.queue.next('urgent')?.order
  }

  get claimed(): readonly number[] {
    return [...this.claimedUntil].filter(([, until]) => until > this.clock.wallNow()).map(([order]) => order)
  }
}

test('as many mails are claimed as are sent at a time, and more when those are begun', () => {
  const shared = new Shared(5)
  assert.equal(shared.next(), 0)
  assert.deepEqual(shared.claimed, [0, 1, 2])
  assert.deepEqual([shared.next(), shared.next(), shared.next(), shared.next()], [1, 2, 3, 4])
  assert.equal(shared.next(), undefined)
})

test('what was claimed and not begun is given to others when the host stops, and what was begun is not', () => {
  const shared = new Shared(5)
  assert.equal(shared.next(), 0)
  shared.queue.release()
  assert.deepEqual(shared.claimed, [0])
})

test('what waits in hand for half of its lease is not begun: its sending might outlast the lease', async () => {
  const shared = new Shared(4)
  assert.equal(shared.next(), 0)
  await shared.clock.advance(mailLeaseMs / 2)
  assert.equal(shared.next(), 1)
  await shared.clock.advance(1)
  assert.equal(shared.next(), 3)
  assert.deepEqual(shared.claimed, [0, 1, 2, 3])
  await shared.clock.advance(mailLeaseMs / 2)
  // Perhaps it is another process's by now.
  shared.queue.release()
  shared.queue.lookAgain(['urgent'])
  assert.equal(shared.next(), 0)
})
