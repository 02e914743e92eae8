// A host in this process over real mail servers, and what it told.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHost, type HostEvent, type HostSettings } from '../../src/host/host.ts'
import { limits } from '../../src/letter/limits.ts'
import type { RoomKeys } from '../../src/letter/room-membership.ts'
import { createSender, openMailbox } from '../../src/mail/open-mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import type { PostOffice } from '../harness/post-office.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { FakeAgent, type HostKeys, makeHostKeys, makeRoom, subject } from './fakes.ts'

export type RunningHost = {
  readonly events: HostEvent[]
  agent(name: string): FakeAgent
  /** Resolves when that many events fit; rejects when it takes too long. */
  until(fits: (event: HostEvent) => boolean, count?: number): Promise<void>
  /** May be called twice. */
  stop(): Promise<void>
}

export type RunningHostOptions = {
  readonly receiveUrl: string
  readonly sendUrl: string
  readonly address: string
  readonly settings?: Partial<HostSettings>
  /** New ones if left out. */
  readonly keys?: HostKeys
  readonly room?: RoomKeys
}

const longestMs = 20_000

export async function runHostOn(options: RunningHostOptions): Promise<RunningHost> {
  const { receiveUrl, sendUrl, address, settings = {}, keys = makeHostKeys(), room = makeRoom() } = options
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-running-'))
  const events: HostEvent[] = []
  let tell = Promise.withResolvers<void>()
  const filter = { subject, address, maxBytes: limits.mailBytes }
  const host = createHost({
    clock: systemClock,
    crypto: realCrypto,
    ...keys,
    address,
    subject,
    rooms: [{ name: 'lobby', tag: room.tag }],
    settings,
    database: join(folder, 'host.sqlite'),
    mailbox: openMailbox(receiveUrl, filter, { clock: systemClock }),
    sender: createSender(sendUrl, { clock: systemClock }),
    onEvent: (event) => {
      events.push(event)
      tell.resolve()
      tell = Promise.withResolvers()
    },
  })
  await host.start()
  return {
    events,
    agent: (name) => new FakeAgent(name, keys, room),
    async until(fits, count = 1) {
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(late.resolve, longestMs)
      const deadline = performance.now() + longestMs
      while (events.filter(fits).length < count) {
        if (performance.now() >= deadline) throw new Error(`it never came to that: ${JSON.stringify(events)}`)
        await Promise.race([tell.promise, late.promise])
      }
      clearTimeout(timer)
    },
    async stop() {
      await host.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** For the mailbox of `user`, with a way to send mail to it as anybody. */
export async function runHost(
  office: PostOffice,
  user: string,
  settings: Partial<HostSettings> = {},
  identities: Pick<RunningHostOptions, 'keys' | 'room'> = {},
) {
  office.maildirOf(user)
  const posting = createSender(office.smtpUrl('poster'), { clock: systemClock })
  const host = await runHostOn({
    receiveUrl: office.imapUrl(user),
    sendUrl: office.smtpUrl(user),
    address: office.address(user),
    settings,
    ...identities,
  })
  return {
    ...host,
    async post(from: string, to: string, raw: string): Promise<void> {
      const outcome = await posting.send({ from, to: [to], raw: new TextEncoder().encode(raw) })
      if (outcome.outcome !== 'sent') throw new Error(`the post office took no mail: ${outcome.reason}`)
    },
    async stop(): Promise<void> {
      await host.stop()
      await posting.close()
    },
  }
}
