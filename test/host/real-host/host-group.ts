// Several host processes on real mail servers, and agents that write to them. Tests kill the processes. They share one database
// and one mailbox, or they are a representative with its workers.

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
import { namesIn, oneReplyEach, RepliesReader, type SentRequest } from './replies.ts'

/** Mails handed to the mail server at a time. */
const sendAtATime = 20

/** Leases of a killed process end soon enough for a test. */
const shortLeases: RealHostOptions['settings'] = {
  batchMails: 10,
  retryFirstMs: 500,
  sweepMs: 2_000,
  letterLeaseMs: 3_000,
  mailLeaseMs: 8_000,
}

/** Agents of one room that know a host by these keys. */
function makeAgents(count: number, sharedSeeds: HostSeeds) {
  const keys = keysOf(realCrypto, sharedSeeds)
  const room = makeRoom()
  const agents = Array.from({ length: count }, (_, index) => new FakeAgent(`agent${index}`, keys, room))
  return { agents, roomTagHex: toHex(room.tag) }
}

type HostGroupPlan = {
  readonly office: MailServers
  /** Holds the databases; removed at the end. */
  readonly folder: string
  readonly agents: readonly FakeAgent[]
  /** Of the process at this place. */
  readonly optionsOf: (place: number) => RealHostOptions
  /** Agents write to the first one. */
  readonly mailboxes: readonly [string, ...string[]]
}

export class HostGroup {
  readonly #plan: HostGroupPlan
  readonly #hosts: HostProcess[] = []

  private constructor(plan: HostGroupPlan) {
    this.#plan = plan
    for (const user of plan.mailboxes) plan.office.maildirOf(user)
  }

  /** Processes with one database and one mailbox. `database`: a PostgreSQL URL; null for a file. */
  static async create(
    requests: number,
    database: string | null,
    settings: RealHostOptions['settings'] = shortLeases,
  ): Promise<HostGroup> {
    const office = await startMailServers()
    const folder = mkdtempSync(join(tmpdir(), 'peerpost-group-'))
    const sharedSeeds = makeSeeds()
    const { agents, roomTagHex } = makeAgents(requests, sharedSeeds)
    const options: RealHostOptions = {
      ...sharedSeeds,
      roomTagHex,
      address: hostAddress,
      subject,
      receiveUrl: office.imapUrl('host'),
      sendUrl: office.smtpUrl('host'),
      database: database ?? join(folder, 'host.db'),
      settings,
    }
    return new HostGroup({ office, folder, agents, optionsOf: () => options, mailboxes: ['host'] })
  }

  /** Place 0 is the representative, the next ones are its workers. Each has its own mailbox and database. */
  static async createRepresented(
    requests: number,
    workerCount: number,
    settings: RealHostOptions['settings'],
  ): Promise<HostGroup> {
    const office = await startMailServers()
    const folder = mkdtempSync(join(tmpdir(), 'peerpost-group-'))
    const sharedSeeds = makeSeeds()
    const { agents, roomTagHex } = makeAgents(requests, sharedSeeds)
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
          ? { ...worker, roomTagHex, hosts, represents: { ...sharedSeeds, representative } }
          : { ...representative, workers }),
        subject,
        receiveUrl: office.imapUrl(user),
        sendUrl: office.smtpUrl(user),
        database: join(folder, `${user}.db`),
        settings,
      }
    }
    return new HostGroup({ office, folder, agents, optionsOf, mailboxes: ['meet', ...workerNames] })
  }

  get agents(): readonly FakeAgent[] {
    return this.#plan.agents
  }

  /** Starts this many processes, which load their code and wait for `startPrepared`. */
  async prepare(count: number): Promise<void> {
    for (let place = 0; place < count; place++) this.#hosts.push(new HostProcess())
    await Promise.all(this.#hosts.map((host) => host.waitFor('loaded')))
  }

  /** Starts the prepared hosts. Resolves when all are ready. */
  async startPrepared(): Promise<void> {
    for (const [place, host] of this.#hosts.entries()) host.go(this.#plan.optionsOf(place))
    await Promise.all(this.#hosts.map((host) => host.waitFor('ready')))
  }

  /** Starts one more host, or replaces the killed one at `place`. Resolves when it is ready. */
  async start(place = this.#hosts.length): Promise<void> {
    const host = new HostProcess()
    this.#hosts[place] = host
    await host.waitFor('loaded')
    host.go(this.#plan.optionsOf(place))
    await host.waitFor('ready')
  }

  async kill(place: number): Promise<void> {
    await this.#hosts[place]?.kill('SIGKILL')
  }

  /** How often each current process emitted this event. */
  eventCounts(event: string): readonly number[] {
    return this.#hosts.map(({ counts }) => counts.get(event) ?? 0)
  }

  lastEvents(event: string): readonly (Record<string, unknown> | undefined)[] {
    return this.#hosts.map(({ last }) => last.get(event))
  }

  /** Each of these agents sends one request. */
  async sendRequests(first = 0, end = this.agents.length): Promise<readonly SentRequest[]> {
    const [mailbox] = this.#plan.mailboxes
    const to = this.#plan.office.address(mailbox)
    const sent: SentRequest[] = []
    const sender = createSender(this.#plan.office.smtpUrl('agents'), { clock: systemClock })
    try {
      for (let at = first; at < end; at += sendAtATime) {
        const sending = this.agents.slice(at, Math.min(end, at + sendAtATime)).map(async (agent) => {
          const raw = new TextEncoder().encode(agent.mailRequest(Date.now()))
          const { outcome } = await sender.send({ from: agent.address, to: [to], raw })
          assert.equal(outcome, 'sent')
          sent.push({ agent, messageId: headerOf({ raw }, 'Message-ID') ?? '' })
        })
        await Promise.all(sending)
      }
    } finally {
      await sender.close()
    }
    return sent
  }

  /** Waits until the mailboxes are empty and `waiting` is 0; by default, until every agent has a mail. */
  async waitUntilAnswered(
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

  /** Reads the replies of all agents. */
  repliesReader(): RepliesReader {
    return new RepliesReader(this.agents, ({ name }) => this.#plan.office.maildirOf(name))
  }

  /** Stops all processes, and checks that each ends cleanly. */
  async stop(): Promise<void> {
    const hosts = this.#hosts.splice(0)
    const codes = await Promise.all(hosts.map((host) => host.kill('SIGTERM')))
    for (const [index, code] of codes.entries()) assert.equal(code, 0, hosts[index]?.stderr)
  }

  /** Kills what still runs, and removes the mail servers and files. */
  async cleanUp(): Promise<void> {
    await Promise.all(this.#hosts.map((host) => host.kill('SIGKILL')))
    await this.#plan.office.stop()
    rmSync(this.#plan.folder, { recursive: true })
  }

  #mails(name: string): number {
    return namesIn(this.#plan.office.maildirOf(name)).length
  }
}

/** Kills a random process and starts another in its place, `kills` times. */
export async function killAtRandom(
  group: HostGroup,
  {
    kills,
    places,
    random,
  }: { readonly kills: number; readonly places: number; readonly random: () => number },
): Promise<void> {
  for (let kill = 0; kill < kills; kill++) {
    await sleep(200 + random() * 600)
    const place = Math.floor(random() * places)
    await group.kill(place)
    await group.start(place)
  }
}
