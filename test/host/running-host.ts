// A host in this process over real mail servers, and what it told.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHost, type HostEvent, type HostSettings } from '../../src/host/service.ts'
import { limits } from '../../src/letter/limits.ts'
import { createSender, openMailbox } from '../../src/mail/open.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import type { PostOffice } from '../harness/post-office.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { FakeAgent, makeHostKeys, makeRoom, subject } from './fakes.ts'

export type RunningHost = {
  readonly events: HostEvent[]
  agent(name: string): FakeAgent
  /** Sends a mail by the post office, as this address. */
  post(from: string, to: string, raw: string): Promise<void>
  /** Resolves when that many events fit; rejects when it takes too long. */
  until(fits: (event: HostEvent) => boolean, count?: number): Promise<void>
  stop(): Promise<void>
}

const longestMs = 20_000

/** For the mailbox of `user`. */
export async function runHost(
  office: PostOffice,
  user: string,
  settings: Partial<HostSettings> = {},
): Promise<RunningHost> {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-running-'))
  const keys = makeHostKeys()
  const room = makeRoom()
  const events: HostEvent[] = []
  const address = office.address(user)
  let tell = Promise.withResolvers<void>()
  const sender = createSender(office.smtpUrl(user), { clock: systemClock })
  const posting = createSender(office.smtpUrl('poster'), { clock: systemClock })
  const host = createHost({
    clock: systemClock,
    crypto: realCrypto,
    ...keys,
    address,
    subject,
    rooms: [{ name: 'lobby', tag: room.tag }],
    settings,
    database: join(folder, 'host.sqlite'),
    mailbox: openMailbox(
      office.imapUrl(user),
      { subject, address, maxBytes: limits.mailBytes },
      { clock: systemClock },
    ),
    sender,
    onEvent: (event) => {
      events.push(event)
      tell.resolve()
      tell = Promise.withResolvers()
    },
  })
  office.maildirOf(user)
  await host.start()
  return {
    events,
    agent: (name) => new FakeAgent(name, keys, room),
    async post(from, to, raw) {
      const outcome = await posting.send({ from, to: [to], raw: new TextEncoder().encode(raw) })
      if (outcome.outcome !== 'sent') throw new Error(`the post office took no mail: ${outcome.reason}`)
    },
    async until(fits, count = 1) {
      const deadline = Date.now() + longestMs
      while (events.filter(fits).length < count) {
        const left = deadline - Date.now()
        if (left <= 0) throw new Error(`it never came to that: ${JSON.stringify(events)}`)
        const timer = Promise.withResolvers<void>()
        const handle = setTimeout(timer.resolve, left)
        await Promise.race([tell.promise, timer.promise])
        clearTimeout(handle)
      }
    },
    async stop() {
      await host.stop()
      await posting.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
