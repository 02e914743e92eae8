// A host on real mail servers in this process, with the events that it emitted.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import type { HostEvent, HostSettings } from '../../../src/host/host.ts'
import { createSender } from '../../../src/mail/open-mailbox.ts'
import { systemClock } from '../../../src/runtime/system-clock.ts'
import type { MailServers } from '../../harness/mail-servers.ts'
import { realCrypto } from '../../harness/seeded-crypto.ts'
import { FakeAgent } from '../fakes.ts'
import { createRealHost, type HostPlan, planHost } from './real-host.ts'

const folder = mkdtempSync(join(tmpdir(), 'peerpost-running-'))
after(() => rmSync(folder, { recursive: true }))
let databases = 0

export type RunningHost = {
  readonly events: HostEvent[]
  agent(name: string): FakeAgent
  /** Resolves when `count` events fit. Rejects when this takes too long. */
  until(fits: (event: HostEvent) => boolean, count?: number): Promise<void>
  /** May be called twice. */
  stop(): Promise<void>
}

const timeoutMs = 20_000

type Place = { readonly receiveUrl: string; readonly sendUrl: string; readonly address?: string }

export function planHostOn(place: Place, settings: Partial<HostSettings> = {}): HostPlan {
  return planHost({ ...place, database: join(folder, `${databases++}.sqlite`), settings })
}

export function planHostAt(office: MailServers, user: string, settings?: Partial<HostSettings>): HostPlan {
  office.maildirOf(user)
  const address = office.address(user)
  return planHostOn({ receiveUrl: office.imapUrl(user), sendUrl: office.smtpUrl(user), address }, settings)
}

export async function runHostOn({ keys, room, options }: HostPlan): Promise<RunningHost> {
  const events: HostEvent[] = []
  let nextEvent = Promise.withResolvers<void>()
  const host = createRealHost(realCrypto, options, (event) => {
    events.push(event)
    nextEvent.resolve()
    nextEvent = Promise.withResolvers()
  })
  await host.start()
  return {
    events,
    agent: (name) => new FakeAgent(name, keys, room),
    async until(fits, count = 1) {
      const late = Promise.withResolvers<void>()
      const timer = setTimeout(late.resolve, timeoutMs)
      const deadline = performance.now() + timeoutMs
      while (events.filter(fits).length < count) {
        if (performance.now() >= deadline)
          throw new Error(`the events did not come: ${JSON.stringify(events)}`)
        await Promise.race([nextEvent.promise, late.promise])
      }
      clearTimeout(timer)
    },
    stop: () => host.stop(),
  }
}

/** Runs a host, and can send mails to its mail server from any address. */
export async function runHostAt(office: MailServers, plan: HostPlan) {
  const posting = createSender(office.smtpUrl('poster'), { clock: systemClock })
  const host = await runHostOn(plan)
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
