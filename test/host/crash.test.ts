// Kills the host between any two steps: at the n-th call that leaves it, for every n. The files on disk are copied at that
// moment, as a power cut would leave them, and a new host starts from the copy.

import assert from 'node:assert/strict'
import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'
import type { Crypto } from '../../src/base/crypto.ts'
import { createHost, type Host } from '../../src/host/host.ts'
import type { OutgoingMail } from '../../src/mail/sender.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'
import {
  FakeAgent,
  FakeMailbox,
  FakeSender,
  headerOf,
  hostAddress,
  makeHostKeys,
  makeRoom,
  subject,
  textOf,
} from './fakes.ts'
import { pass } from './virtual-hosts.ts'

// In memory if possible: this tests the order of steps, not the disk.
const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'peerpost-crash-'))
after(() => rmSync(folder, { recursive: true }))

/** Blows at a given step. Later calls of the host have no effect. */
class Fuse {
  readonly #onBlow: () => void
  #left: number
  blown = false

  constructor(steps: number, onBlow: () => void) {
    this.#left = steps
    this.#onBlow = onBlow
  }

  step(): void {
    if (!this.blown && this.#left-- === 0) {
      this.blown = true
      this.#onBlow()
    }
    if (this.blown) throw new Error('the host is dead')
  }
}

function fused<T extends object>(target: T, fuse: Fuse, names: readonly string[]): T {
  return new Proxy(target, {
    get(from, name) {
      const value: unknown = Reflect.get(from, name)
      if (typeof value !== 'function') return value
      if (!names.includes(String(name))) return value.bind(from)
      // One step before the effect, and one before its result arrives.
      return (...given: unknown[]) => {
        fuse.step()
        const result: unknown = value.apply(from, given)
        if (!(result instanceof Promise)) return result
        return result.then((settled: unknown) => {
          fuse.step()
          return settled
        })
      }
    },
    set: (from, name, value) => Reflect.set(from, name, value),
  })
}

const keys = makeHostKeys()
const room = makeRoom()

type World = { readonly clock: VirtualClock; readonly mailbox: FakeMailbox; readonly sender: FakeSender }

function makeHost(world: World, database: string, fuse: Fuse): Host {
  const crypto: Crypto = fused(realCrypto, fuse, ['seal', 'sign', 'randomBytes', 'openSealed', 'verify'])
  return createHost({
    clock: world.clock,
    crypto,
    ...keys,
    address: hostAddress,
    subject,
    rooms: [{ name: 'lobby', tag: room.tag }],
    settings: { batchMails: 2, retryFirstMs: 100 },
    database,
    mailbox: fused(world.mailbox, fuse, ['fetch', 'remove']),
    sender: fused(world.sender, fuse, ['send']),
    onEvent: () => fuse.step(),
  })
}

async function stop(world: World, host: Host): Promise<void> {
  let ended = false
  void host.stop().finally(() => {
    ended = true
  })
  while (!ended) await world.clock.advance(1_000)
}

/** True when the fuse blew before the work was done. */
async function crashAt(steps: number): Promise<boolean> {
  const world: World = { clock: new VirtualClock(), mailbox: new FakeMailbox(), sender: new FakeSender(2) }
  const agents = ['ann', 'bob', 'cid'].map((name) => new FakeAgent(name, keys, room))
  for (const agent of agents) world.mailbox.deliver(agent.mailRequest(world.clock.wallNow()))
  const before = join(folder, `${steps}-before.db`)
  const left = join(folder, `${steps}-left.db`)
  const fuse = new Fuse(steps, () => {
    for (const part of ['', '-wal']) {
      if (existsSync(before + part)) copyFileSync(before + part, left + part)
    }
  })
  const first = makeHost(world, before, fuse)
  await first.start().catch(() => undefined)
  for (let round = 0; round < 200 && !fuse.blown; round++) await pass(world.clock, 10)
  const blew = fuse.blown
  await stop(world, first)

  world.mailbox.isSilent = true
  const second = makeHost(world, blew ? left : before, new Fuse(Number.POSITIVE_INFINITY, () => {}))
  await second.start()
  await pass(world.clock, 5_000)
  await stop(world, second)

  assert.equal(world.mailbox.mails.length, 0, `at step ${steps} a request stayed in the mailbox`)
  for (const agent of agents) {
    const mails = world.sender.sent.filter(({ to }) => to[0] === agent.address)
    const replies = mails.filter((mail) => agent.read(mail).kind === 'reply')
    const distinct = new Set(replies.map((mail: OutgoingMail) => headerOf(mail, 'Message-ID')))
    assert.equal(distinct.size, 1, `at step ${steps} ${agent.name} got ${distinct.size} replies`)
    assert.equal(
      new Set(mails.map(textOf)).size,
      new Set(mails.map((mail) => headerOf(mail, 'Message-ID'))).size,
    )
    const peersOf = new Set(
      mails.flatMap((mail) => {
        const letter = agent.read(mail)
        return letter.kind === 'reply' || letter.kind === 'introduction'
          ? letter.peers.map((peer) => peer.nickname)
          : []
      }),
    )
    assert.equal(peersOf.size, 2, `at step ${steps} ${agent.name} learned only of ${[...peersOf]}`)
  }
  return blew
}

test('killed between any two steps, a host answers every request once and introduces everybody', async () => {
  let steps = 0
  while (await crashAt(steps)) steps++
  assert.ok(steps > 40, `only ${steps} steps were seen`)
})
