// Which mails one of several processes leases.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SendQueue, type SendQueueOptions } from '../../src/host/outbox/send-queue.ts'
import { defaultHostSettings } from '../../src/host/settings.ts'
import type { Urgency, WaitingMail } from '../../src/store/outbox.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const mailLeaseMs = 1_000

/** An outbox that several processes share, with the leases that the others would see. */
class SharedOutbox {
  readonly clock = new VirtualClock()
  readonly leasedUntil = new Map<number, number>()
  readonly queue: SendQueue

  constructor(mails: number) {
    for (let order = 0; order < mails; order++) this.leasedUntil.set(order, 0)
    const leases = {
      leaseMails: (_: Urgency, { now, until, limit }: { now: number; until: number; limit: number }) => {
        const free = [...this.leasedUntil].filter(([, leased]) => leased <= now).slice(0, limit)
        for (const [order] of free) this.leasedUntil.set(order, until)
        return free.map(([order]) => ({ order }) as WaitingMail)
      },
      release: (given: readonly WaitingMail[]) => {
        for (const { order } of given) this.leasedUntil.set(order, 0)
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

  get leased(): readonly number[] {
    return [...this.leasedUntil].filter(([, until]) => until > this.clock.wallNow()).map(([order]) => order)
  }
}

test('as many mails are leased as are sent at a time, and more when those are started', () => {
  const shared = new SharedOutbox(5)
  assert.equal(shared.next(), 0)
  assert.deepEqual(shared.leased, [0, 1, 2])
  assert.deepEqual([shared.next(), shared.next(), shared.next(), shared.next()], [1, 2, 3, 4])
  assert.equal(shared.next(), undefined)
})

test('when the host stops, leases of mails that were not started end, and those of started mails do not', () => {
  const shared = new SharedOutbox(5)
  assert.equal(shared.next(), 0)
  shared.queue.release()
  assert.deepEqual(shared.leased, [0])
})

test('a mail that waits for half of its lease is not started, because sending it might outlast the lease', async () => {
  const shared = new SharedOutbox(4)
  assert.equal(shared.next(), 0)
  await shared.clock.advance(mailLeaseMs / 2)
  assert.equal(shared.next(), 1)
  await shared.clock.advance(1)
  assert.equal(shared.next(), 3)
  assert.deepEqual(shared.leased, [0, 1, 2, 3])
  await shared.clock.advance(mailLeaseMs / 2)
  // Another process may have leased the mail by now.
  shared.queue.release()
  shared.queue.lookAgain(['urgent'])
  assert.equal(shared.next(), 0)
})
