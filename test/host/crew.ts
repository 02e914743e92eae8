// Host processes on one database and one real mailbox, and agents that ask them; any of the processes may be killed.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { toHex } from '../../src/base/bytes.ts'
import { createSender } from '../../src/mail/open.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { type PostOffice, startPostOffice } from '../harness/post-office.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { waitUntil } from '../harness/wait-until.ts'
import { FakeAgent, hostAddress, makeRoom, subject } from './fakes.ts'
import { HostProcess } from './host-process.ts'
import type { RealHostOptions } from './real-host.ts'
import { namesIn, oneReplyEach } from './replies.ts'

/** Mails handed to the mail server at a time. */
const askAtATime = 20

/** Claims of a killed process are over soon enough for a test. */
const brisk: RealHostOptions['settings'] = {
  ...{ batchMails: 10, retryFirstMs: 500, sweepMs: 2_000, letterClaimMs: 3_000, mailClaimMs: 8_000 },
}

export class Crew {
  readonly agents: readonly FakeAgent[]
  readonly #office: PostOffice
  readonly #folder = mkdtempSync(join(tmpdir(), 'peerpost-crew-'))
  readonly #options: RealHostOptions
  readonly #hosts: HostProcess[] = []

  private constructor(
    office: PostOffice,
    requests: number,
    database: string | null,
    settings: RealHostOptions['settings'],
  ) {
    this.#office = office
    const seeds = { identity: realCrypto.randomBytes(32), sealing: realCrypto.randomBytes(32) }
    const keys = {
      identity: realCrypto.signKeyPair(seeds.identity),
      sealingKeys: realCrypto.boxKeyPair(seeds.sealing),
    }
    const room = makeRoom()
    this.agents = Array.from({ length: requests }, (_, index) => new FakeAgent(`agent${index}`, keys, room))
    this.#options = {
      identitySeedHex: toHex(seeds.identity),
      sealingSeedHex: toHex(seeds.sealing),
      roomTagHex: toHex(room.tag),
      address: hostAddress,
      subject,
      imapUrl: office.imapUrl('host'),
      smtpUrl: office.smtpUrl('host'),
      database: database ?? join(this.#folder, 'host.db'),
      settings,
    }
  }

  /** `database`: the URL of one in PostgreSQL; null for a file. */
  static async gather(
    requests: number,
    database: string | null,
    settings: RealHostOptions['settings'] = brisk,
  ): Promise<Crew> {
    const office = await startPostOffice()
    office.maildirOf('host')
    return new Crew(office, requests, database, settings)
  }

  /** So many processes that have loaded their code and wait for `begin`. */
  async prepare(count: number): Promise<void> {
    for (let place = 0; place < count; place++) this.#hosts.push(new HostProcess())
    await Promise.all(this.#hosts.map((host) => host.heard('loaded')))
  }

  /** Resolves when all are ready. */
  async begin(): Promise<void> {
    for (const host of this.#hosts) host.go(this.#options)
    await Promise.all(this.#hosts.map((host) => host.heard('ready')))
  }

  /** Resolves when it is ready; `place` is where the killed one was that it replaces. */
  async hire(place = this.#hosts.length): Promise<void> {
    const host = new HostProcess()
    this.#hosts[place] = host
    await host.heard('loaded')
    host.go(this.#options)
    await host.heard('ready')
  }

  async kill(place: number): Promise<void> {
    await this.#hosts[place]?.kill('SIGKILL')
  }

  /** How often each of those that run now has told of this event. */
  told(event: string): readonly number[] {
    return this.#hosts.map(({ counts }) => counts.get(event) ?? 0)
  }

  lastTold(event: string): readonly (Record<string, unknown> | undefined)[] {
    return this.#hosts.map(({ last }) => last.get(event))
  }

  async ask(first = 0, end = this.agents.length): Promise<void> {
    const sender = createSender(this.#office.smtpUrl('agents'), { clock: systemClock })
    try {
      for (let at = first; at < end; at += askAtATime) {
        const asking = this.agents.slice(at, Math.min(end, at + askAtATime)).map(async (agent) => {
          const raw = new TextEncoder().encode(agent.mailRequest(Date.now()))
          const { outcome } = await sender.send({ from: agent.address, to: [hostAddress], raw })
          assert.equal(outcome, 'sent')
        })
        await Promise.all(asking)
      }
    } finally {
      await sender.close()
    }
  }

  /** Until every agent has a mail and the mailbox is empty. */
  async finish(withinMs: number): Promise<void> {
    const waiting = () => this.agents.filter(({ name }) => this.#mails(name) === 0).length
    const left = () => this.#mails('host')
    await waitUntil(
      () => left() === 0 && waiting() === 0,
      () =>
        `${waiting()} agents wait, ${left()} letters are left\n${this.#hosts.map(({ stderr }) => stderr)}`,
      withinMs,
    )
  }

  oneReplyEach(): { readonly copies: number } {
    return oneReplyEach(this.agents, ({ name }) => this.#office.maildirOf(name))
  }

  /** Each that runs ends cleanly. */
  async dismiss(): Promise<void> {
    const hosts = this.#hosts.splice(0)
    const codes = await Promise.all(hosts.map((host) => host.kill('SIGTERM')))
    for (const [index, code] of codes.entries()) assert.equal(code, 0, hosts[index]?.stderr)
  }

  async disband(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.kill('SIGKILL')))
    await this.#office.stop()
    rmSync(this.#folder, { recursive: true })
  }

  #mails(name: string): number {
    return namesIn(this.#office.maildirOf(name)).length
  }
}

/** Kills one of the places at random, `kills` times, and puts another process there. */
export async function killAtRandom(
  crew: Crew,
  {
    kills,
    places,
    random,
  }: { readonly kills: number; readonly places: number; readonly random: () => number },
): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    await sleep(200 + random() * 600)
    const place = Math.floor(random() * places)
    await crew.kill(place)
    await crew.hire(place)
  }
}
