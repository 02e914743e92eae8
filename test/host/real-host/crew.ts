// Host processes over real mail servers, and agents that ask them; any of the processes may be killed. They share one
// database and one mailbox, or are a representative host with its workers.

import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { toHex } from '../../../src/base/bytes.ts'
import { createSender } from '../../../src/mail/open-mailbox.ts'
import { systemClock } from '../../../src/runtime/system-clock.ts'
import { type MailServers, startMailServers } from '../../harness/mail-servers.ts'
import { realCrypto } from '../../harness/seeded-crypto.ts'
import { waitUntil } from '../../harness/wait-until.ts'
import { FakeAgent, headerOf, hostAddress, makeRoom, subject } from '../fakes.ts'
import { HostProcess } from './host-process.ts'
import { type HostSeeds, type HostSeedsAt, keysOf, makeSeeds, type RealHostOptions } from './real-host.ts'
import { type Asked, namesIn, oneReplyEach, RepliesReader } from './replies.ts'

/** Mails handed to the mail server at a time. */
const askAtATime = 20

/** Leases of a killed process are over soon enough for a test. */
const brisk: RealHostOptions['settings'] = {
  ...{ batchMails: 10, retryFirstMs: 500, sweepMs: 2_000, letterLeaseMs: 3_000, mailLeaseMs: 8_000 },
}

/** Of one room, who know the host of these keys. */
function makeAgents(count: number, front: HostSeeds) {
  const keys = keysOf(realCrypto, front)
  const room = makeRoom()
  const agents = Array.from({ length: count }, (_, index) => new FakeAgent(`agent${index}`, keys, room))
  return { agents, roomTagHex: toHex(room.tag) }
}

/** Who works where. */
type CrewPlan = {
  readonly office: MailServers
  /** For the databases; removed at the end. */
  readonly folder: string
  readonly agents: readonly FakeAgent[]
  readonly optionsOf: (place: number) => RealHostOptions
  /** The first is the one that agents write to. */
  readonly mailboxes: readonly [string, ...string[]]
}

export class Crew {
  readonly #plan: CrewPlan
  readonly #hosts: HostProcess[] = []

  private constructor(plan: CrewPlan) {
    this.#plan = plan
    for (const user of plan.mailboxes) plan.office.maildirOf(user)
  }

  /** `database`: the URL of one in PostgreSQL; null for a file. */
  static async gather(
    requests: number,
    database: string | null,
    settings: RealHostOptions['settings'] = brisk,
  ): Promise<Crew> {
    const office = await startMailServers()
    const folder = mkdtempSync(join(tmpdir(), 'peerpost-crew-'))
    const front = makeSeeds()
    const { agents, roomTagHex } = makeAgents(requests, front)
    const options: RealHostOptions = {
      ...front,
      roomTagHex,
      address: hostAddress,
      subject,
      receiveUrl: office.imapUrl('host'),
      sendUrl: office.smtpUrl('host'),
      database: database ?? join(folder, 'host.db'),
      settings,
    }
    return new Crew({ office, folder, agents, optionsOf: () => options, mailboxes: ['host'] })
  }

  /** In place 0 the representative, then its workers, each with a mailbox and a database of its own. */
  static async gatherRepresented(
    requests: number,
    workerCount: number,
    settings: RealHostOptions['settings'],
  ): Promise<Crew> {
    const office = await startMailServers()
    const folder = mkdtempSync(join(tmpdir(), 'peerpost-crew-'))
    const front = makeSeeds()
    const { agents, roomTagHex } = makeAgents(requests, front)
    const workerNames = Array.from({ length: workerCount }, (_, index) => `worker${index}`)
    const seedsAt = (user: string): HostSeedsAt => ({ ...makeSeeds(), address: office.address(user) })
    const representative = seedsAt('meet')
    const workers = workerNames.map(seedsAt)
    const optionsOf = (place: number): RealHostOptions => {
      const worker = workers[place - 1]
      const user = workerNames[place - 1] ?? 'meet'
      const hosts = workers.filter((other) => other !== worker)
      return {
        ...(worker
          ? { ...worker, roomTagHex, hosts, represents: { ...front, representative } }
          : { ...representative, workers }),
        subject,
        receiveUrl: office.imapUrl(user),
        sendUrl: office.smtpUrl(user),
        database: join(folder, `${user}.db`),
        settings,
      }
    }
    return new Crew({ office, folder, agents, optionsOf, mailboxes: ['meet', ...workerNames] })
  }

  get agents(): readonly FakeAgent[] {
    return this.#plan.agents
  }

  /** So many processes that have loaded their code and wait for `begin`. */
  async prepare(count: number): Promise<void> {
    for (let place = 0; place < count; place++) this.#hosts.push(new HostProcess())
    await Promise.all(this.#hosts.map((host) => host.heard('loaded')))
  }

  /** Resolves when all are ready. */
  async begin(): Promise<void> {
    for (const [place, host] of this.#hosts.entries()) host.go(this.#plan.optionsOf(place))
    await Promise.all(this.#hosts.map((host) => host.heard('ready')))
  }

  /** Resolves when it is ready; `place` is where the killed one was that it replaces. */
  async hire(place = this.#hosts.length): Promise<void> {
    const host = new HostProcess()
    this.#hosts[place] = host
    await host.heard('loaded')
    host.go(this.#plan.optionsOf(place))
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

  /** Of those agents each asks once. Resolves to the Message-IDs of their mails. */
  async ask(first = 0, end = this.agents.length): Promise<readonly Asked[]> {
    const [mailbox] = this.#plan.mailboxes
    const to = this.#plan.office.address(mailbox)
    const asked: Asked[] = []
    const sender = createSender(this.#plan.office.smtpUrl('agents'), { clock: systemClock })
    try {
      for (let at = first; at < end; at += askAtATime) {
        const asking = this.agents.slice(at, Math.min(end, at + askAtATime)).map(async (agent) => {
          const raw = new TextEncoder().encode(agent.mailRequest(Date.now()))
          const { outcome } = await sender.send({ from: agent.address, to: [to], raw })
          assert.equal(outcome, 'sent')
          asked.push({ agent, messageId: headerOf({ raw }, 'Message-ID') ?? '' })
        })
        await Promise.all(asking)
      }
    } finally {
      await sender.close()
    }
    return asked
  }

  /** Until every agent has a mail, or `waiting` is 0, and the mailboxes are empty. */
  async finish(
    withinMs: number,
    waiting = () => this.agents.filter(({ name }) => this.#mails(name) === 0).length,
  ): Promise<void> {
    const left = () => this.#plan.mailboxes.reduce((sum, user) => sum + this.#mails(user), 0)
    await waitUntil(
      () => left() === 0 && waiting() === 0,
      () =>
        `${waiting()} agents wait, ${left()} letters are left\n${this.#hosts.map(({ stderr }) => stderr)}`,
      withinMs,
    )
  }

  oneReplyEach(): { readonly copies: number } {
    return oneReplyEach(this.agents, ({ name }) => this.#plan.office.maildirOf(name))
  }

  /** Of everybody, as far as there are any now. */
  repliesReader(): RepliesReader {
    return new RepliesReader(this.agents, ({ name }) => this.#plan.office.maildirOf(name))
  }

  /** Each that runs ends cleanly. */
  async dismiss(): Promise<void> {
    const hosts = this.#hosts.splice(0)
    const codes = await Promise.all(hosts.map((host) => host.kill('SIGTERM')))
    for (const [index, code] of codes.entries()) assert.equal(code, 0, hosts[index]?.stderr)
  }

  async disband(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.kill('SIGKILL')))
    await this.#plan.office.stop()
    rmSync(this.#plan.folder, { recursive: true })
  }

  #mails(name: string): number {
    return namesIn(this.#plan.office.maildirOf(name)).length
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
