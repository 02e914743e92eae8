// Hosts on virtual time, each with a fake mailbox, a fake sender and a database on disk. `Stage` is a single host.
// `Representation` is a representative with its workers, which write to each other in memory.

import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import type { KeyPair } from '../../src/base/crypto.ts'
import {
  createHost,
  type Host,
  type HostEvent,
  type HostOptions,
  type HostSettings,
} from '../../src/host/host.ts'
import type { InviteHost } from '../../src/letter/invite.ts'
import type { Letter, Statement, TableLetter } from '../../src/letter/letter-types.ts'
import { makePass, memberKeys, type RoomKeys } from '../../src/letter/room-membership.ts'
import { openSharedDatabase } from '../../src/store/host-database.ts'
import { InviteRevocations } from '../../src/store/invite-revocations.ts'
import { Invites, type InviteTerms } from '../../src/store/invites.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'
import { FakeAgent, FakeMailbox, FakeSender, hostAddress, makeHostKeys, makeRoom, subject } from './fakes.ts'
import { KillSwitch } from './kill-switch.ts'

const folder = mkdtempSync(join(tmpdir(), 'peerpost-host-'))
after(() => rmSync(folder, { recursive: true }))
let databases = 0

/** Moves time on in steps. */
export async function pass(clock: VirtualClock, byMs: number): Promise<void> {
  const steps = Math.min(50, byMs)
  for (let step = 0; step < steps; step++) {
    await clock.advance(byMs / steps)
  }
}

async function passUntil(
  clock: VirtualClock,
  holds: () => boolean,
  stepMs: number,
  maxSteps: number,
): Promise<void> {
  for (let step = 0; !holds(); step++) {
    if (step > maxSteps) throw new Error('the condition did not become true')
    await clock.advance(stepMs)
  }
}

/** The options that depend on other hosts, read whenever a host is created. */
type HostEnvironment = () => Pick<HostOptions, 'rooms' | 'hosts' | 'workers' | 'represents'>

/** A host that can be restarted: one instance after the other with the same mailbox and keys. */
export class VirtualHost {
  readonly clock: VirtualClock
  readonly address: string
  readonly keys = makeHostKeys()
  readonly mailbox = new FakeMailbox()
  readonly sender: FakeSender
  readonly events: HostEvent[] = []
  /** Called with each event. */
  onEvent: (event: HostEvent) => void = () => {}
  /** The path of its database. */
  database = join(folder, `${databases++}.db`)
  isUp = false
  #isOver = false
  readonly #settings: Partial<HostSettings>
  readonly #environment: HostEnvironment
  #host: Host | null = null
  #killSwitch: KillSwitch

  constructor(
    clock: VirtualClock,
    address: string,
    sender: FakeSender,
    settings: Partial<HostSettings>,
    environment: HostEnvironment,
  ) {
    this.clock = clock
    this.address = address
    this.sender = sender
    this.#settings = settings
    this.#environment = environment
    this.#killSwitch = new KillSwitch(clock)
  }

  get card(): InviteHost {
    const { identity, sealingKeys } = this.keys
    return { address: this.address, identity: identity.publicKey, sealingKey: sealingKeys.publicKey }
  }

  /** The current or last instance, or else a new one. */
  get host(): Host {
    this.#host ??= createHost({
      clock: this.#killSwitch.clock,
      crypto: realCrypto,
      ...this.keys,
      address: this.address,
      subject,
      ...this.#environment(),
      settings: this.#settings,
      database: this.database,
      mailbox: this.#killSwitch.mailbox(this.mailbox),
      sender: this.#killSwitch.sender(this.sender),
      onEvent: (event) => {
        this.events.push(event)
        this.onEvent(event)
      },
    })
    return this.#host
  }

  async start(): Promise<void> {
    if (this.#isOver) this.#renew()
    await this.host.start()
    this.isUp = true
  }

  /** Stops the host cleanly. `start` then uses the same database. */
  async stop(): Promise<void> {
    const stopped = this.host.stop()
    let ended = false
    void stopped.finally(() => {
      ended = true
    })
    while (!ended) await this.clock.advance(100)
    await stopped
    this.#end()
  }

  /** Kills the host. `start` then uses a copy of what is on disk now. */
  kill(): void {
    this.#killSwitch.cut()
    const left = `${this.database}+`
    for (const part of ['', '-wal']) {
      if (existsSync(this.database + part)) copyFileSync(this.database + part, left + part)
    }
    this.database = left
    this.mailbox.isSilent = true
    this.#end()
  }

  #end(): void {
    this.isUp = false
    this.#isOver = true
  }

  #renew(): void {
    this.#isOver = false
    this.#killSwitch = new KillSwitch(this.clock)
    this.#host = null
  }
}

/** A single host. */
export class Stage {
  readonly clock = new VirtualClock()
  readonly room = makeRoom()
  /** Applies from the next start. */
  invitesRequired = false
  /** Other hosts that it knows. Applies from the next start. */
  hosts: readonly InviteHost[] = []
  readonly #host: VirtualHost

  constructor(settings: Partial<HostSettings> = {}, sender = new FakeSender()) {
    this.#host = new VirtualHost(this.clock, hostAddress, sender, settings, () => ({
      rooms: [{ name: 'lobby', tag: this.room.tag, invitesRequired: this.invitesRequired }],
      hosts: this.hosts,
    }))
  }

  get host(): Host {
    return this.#host.host
  }

  get keys() {
    return this.#host.keys
  }

  get mailbox(): FakeMailbox {
    return this.#host.mailbox
  }

  get sender(): FakeSender {
    return this.#host.sender
  }

  get events(): HostEvent[] {
    return this.#host.events
  }

  get database(): string {
    return this.#host.database
  }

  async start(): Promise<this> {
    await this.#host.start()
    await this.settle()
    return this
  }

  /** Stops the host cleanly and starts it again on the same database. */
  async restart(): Promise<void> {
    await this.stop()
    await this.start()
  }

  stop(): Promise<void> {
    return this.#host.stop()
  }

  agent(name: string, publicAddress?: string, room: RoomKeys = this.room): FakeAgent {
    return new FakeAgent(name, this.keys, room, publicAddress)
  }

  /** The keys of a new invite to the room. The host's database does not hold the invite yet. */
  invite(terms: InviteTerms = {}): RoomKeys {
    const seed = realCrypto.randomBytes(32)
    return memberKeys(realCrypto, { pass: makePass(realCrypto, this.room, this.keys.identity, seed, terms) })
  }

  /** Opens the database beside the running host, as a command does. */
  command<T>(work: (invites: Invites, revocations: InviteRevocations) => T): T {
    const database = openSharedDatabase(this.database)
    try {
      return work(new Invites(database), new InviteRevocations(database))
    } finally {
      database.close()
    }
  }

  get now(): number {
    return this.clock.wallNow()
  }

  deliver(raw: string | Uint8Array | null): void {
    this.mailbox.deliver(raw)
  }

  /** Waits until the mailbox is empty and no mail is being sent. Advances time only a little. */
  async settle(): Promise<void> {
    await this.until(() => this.mailbox.mails.length === 0 && this.sender.underWay === 0)
    for (let round = 0; round < 25; round++) await this.clock.advance(1)
  }

  until(condition: () => boolean): Promise<void> {
    return passUntil(this.clock, condition, 1, 5_000)
  }

  pass(byMs: number): Promise<void> {
    return pass(this.clock, byMs)
  }

  /** The letters sent to this agent, in order. */
  lettersTo(agent: FakeAgent): Letter[] {
    return this.sender.sent.filter(({ to }) => to[0] === agent.address).map((mail) => agent.read(mail))
  }

  drops(): string[] {
    return this.events.flatMap((event) =>
      event.event === 'letter' && event.outcome === 'dropped' ? [event.reason] : [],
    )
  }
}

/** A host that the stage's host knows by its key. The test decides what it sends. */
export class OtherHost extends FakeAgent {
  readonly card

  constructor(stage: Stage) {
    super('other', stage.keys, stage.room)
    const sealing: KeyPair = realCrypto.boxKeyPair()
    this.sessions.push(sealing)
    this.card = { address: this.address, identity: this.id, sealingKey: sealing.publicKey }
  }

  table(stage: Stage, ...statements: readonly Statement[]): TableLetter {
    return { ...this.head(stage.now), kind: 'table', statements, introduce: [] }
  }

  /** Sends these statements to the stage's host. */
  sendStatements(stage: Stage, ...statements: readonly Statement[]): void {
    stage.deliver(this.mail(this.table(stage, ...statements)))
  }
}

export async function withPeerHost(settings = {}): Promise<{ stage: Stage; other: OtherHost }> {
  const stage = new Stage(settings)
  const other = new OtherHost(stage)
  stage.hosts = [other.card]
  await stage.start()
  return { stage, other }
}

/** A representative and its workers. */
export class Representation {
  readonly clock = new VirtualClock()
  readonly room = makeRoom()
  /** The keys that agents know. All workers share them. */
  readonly sharedKeys = makeHostKeys()
  readonly representative: VirtualHost
  readonly workers: readonly VirtualHost[]

  constructor(workers: number, settings: Partial<HostSettings> = {}) {
    const make = (name: string, environment: (self: InviteHost) => ReturnType<HostEnvironment>) => {
      const host: VirtualHost = new VirtualHost(
        this.clock,
        `${name}@mail.test`,
        new FakeSender(16),
        settings,
        () => environment(host.card),
      )
      return host
    }
    this.representative = make('meet', () => ({
      rooms: [],
      workers: this.workers.map(({ card }) => card),
    }))
    this.workers = Array.from({ length: workers }, (_, index) =>
      make(`worker${index}`, (self) => ({
        rooms: [{ name: 'lobby', tag: this.room.tag }],
        hosts: this.workers.map(({ card }) => card).filter(({ address }) => address !== self.address),
        represents: { ...this.sharedKeys, representative: this.representative.card },
      })),
    )
    const mailboxes = new Map(this.#hosts.map(({ address, mailbox }) => [address, mailbox]))
    for (const { sender } of this.#hosts) {
      sender.answer = ({ to, raw }) => {
        mailboxes.get(to[0] ?? '')?.deliver(raw)
        return { outcome: 'sent' }
      }
    }
  }

  get #hosts(): readonly VirtualHost[] {
    return [this.representative, ...this.workers]
  }

  async start(): Promise<this> {
    for (const host of this.#hosts) await host.start()
    return this
  }

  async end(): Promise<void> {
    for (const host of this.#hosts) if (host.isUp) await host.stop()
  }

  agent(name: string): FakeAgent {
    return new FakeAgent(name, this.sharedKeys, this.room)
  }

  /** Delivers a mail to the representative's mailbox. */
  post(mail: string): void {
    this.representative.mailbox.deliver(mail)
  }

  /** The mails to this agent, each with the worker that sent it. */
  mailsTo(agent: FakeAgent) {
    return this.workers.flatMap((worker) =>
      worker.sender.sent.filter(({ to }) => to[0] === agent.address).map((mail) => ({ worker, mail })),
    )
  }

  /** Advances time in small steps until the condition is true. */
  until(holds: () => boolean, stepMs = 1): Promise<void> {
    return passUntil(this.clock, holds, stepMs, 20_000)
  }
}
