// When a mailbox is looked through.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MailboxLoop, type Rest } from '../../src/mail/mailbox-loop.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const sweepMs = 1_000

class Looks {
  readonly clock = new VirtualClock()
  count = 0
  /** What the next look does. */
  next: () => Promise<Rest | null> = async () => null
  canBeWoken = true
  readonly loop = new MailboxLoop({
    clock: this.clock,
    sweepMs,
    restAfter: () => ({ forMs: 200, canBeWoken: this.canBeWoken }),
  })

  start(): void {
    this.loop.start(() => {
      this.count++
      return this.next()
    })
  }

  async after(byMs: number): Promise<number> {
    await this.clock.advance(byMs)
    return this.count
  }
}

test('a mailbox is looked through at once, when it wakes the loop, and after the sweep time', async () => {
  const looks = new Looks()
  looks.start()
  assert.equal(await looks.after(sweepMs - 1), 1)
  assert.equal(await looks.after(1), 2)
  looks.loop.wake()
  assert.equal(await looks.after(0), 3)
  assert.equal(await looks.after(sweepMs - 1), 3)
  await looks.loop.stop()
})

test('a wake-up during a look leads to one more look, and one before the start to none', async () => {
  const looks = new Looks()
  const { promise, resolve } = Promise.withResolvers<null>()
  looks.next = () => promise
  looks.loop.wake()
  looks.start()
  looks.start()
  looks.loop.wake()
  looks.loop.wake()
  assert.equal(await looks.after(5 * sweepMs), 1)
  looks.next = async () => null
  resolve(null)
  assert.equal(await looks.after(1), 2)
  await looks.loop.stop()
})

test('after a look that failed, or wants a rest, the loop rests whatever came meanwhile', async () => {
  const looks = new Looks()
  looks.next = async () => {
    looks.loop.wake()
    throw new Error('the connection is lost')
  }
  looks.start()
  assert.equal(await looks.after(199), 1)
  assert.equal(await looks.after(1), 2)
  looks.next = async () => ({ forMs: 300, canBeWoken: true })
  assert.equal(await looks.after(200), 3)
  assert.equal(await looks.after(299), 3)
  assert.equal(await looks.after(1), 4)
  looks.loop.wake()
  assert.equal(await looks.after(0), 5)
  await looks.loop.stop()
})

test('a rest that cannot be woken from is ended by the stop alone', async () => {
  const looks = new Looks()
  looks.canBeWoken = false
  looks.next = async () => {
    throw new Error('the disk is full')
  }
  looks.start()
  await looks.after(0)
  looks.loop.wake()
  assert.equal(await looks.after(100), 1)
  await looks.loop.stop()
  assert.equal(await looks.after(5 * sweepMs), 1)
  assert.equal(looks.clock.pendingTimers, 0)
})

test('a stop waits for the look that is under way', async () => {
  const looks = new Looks()
  const { promise, resolve } = Promise.withResolvers<null>()
  looks.next = () => promise
  looks.start()
  let isStopped = false
  const stopped = looks.loop.stop().then(() => {
    isStopped = true
  })
  await looks.after(sweepMs)
  assert.equal(isStopped, false)
  resolve(null)
  await stopped
  assert.equal(looks.count, 1)
})
