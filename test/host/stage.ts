// A host on virtual time between a fake mailbox and a fake sender, with a database on disk.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after } from 'node:test'
import { createHost, type Host, type HostEvent, type HostSettings } from '../../src/host/host.ts'
import type { InviteHost } from '../../src/letter/invite.ts'
import type { Letter } from '../../src/letter/letter-types.ts'
import { makePass, memberKeys, type RoomKeys } from '../../src/letter/room-membership.ts'
import { openSharedDatabase } from '../../src/store/host-database.ts'
import { InviteRevocations } from '../../src/store/invite-revocations.ts'
import { Invites, type InviteTerms } from '../../src/store/invites.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'
import { FakeAgent, FakeMailbox, FakeSender, hostAddress, makeHostKeys, makeRoom, subject } from './fakes.ts'

const folder = mkdtempSync(join(tmpdir(), 'peerpost-host-'))
after(() => rmSync(folder, { recursive: true }))
let stages = 0

/** Moves time on in steps, and lets parsers and composers, which work in many small turns, go on in between. */
export async function pass(clock: VirtualClock, byMs: number): Promise<void> {
  const steps = Math.min(50, byMs)
  for (let step = 0; step < steps; step++) {
    for (let turn = 0; turn < 30; turn++) await new Promise((resolve) => setImmediate(resolve))
    await clock.advance(byMs / steps)
  }
}

export class Stage {
  readonly clock = new VirtualClock()
  readonly keys = makeHostKeys()
  readonly room = makeRoom()
  readonly mailbox = new FakeMailbox()
  readonly sender: FakeSender
  readonly events: HostEvent[] = []
  readonly database = join(folder, `${stages++}.db`)
  readonly settings: Partial<HostSettings>
  /** Counts from the next start. */
  invitesRequired = false
  /** Other hosts that it knows, from the next start on. */
  hosts: readonly InviteHost[] = []
  host: Host

  constructor(settings: Partial<HostSettings> = {}, sender = new FakeSender()) {
    this.settings = settings
    this.sender = sender
    this.host = this.makeHost()
  }

  makeHost(): Host {
    return createHost({
      clock: this.clock,
      crypto: realCrypto,
      ...this.keys,
      address: hostAddress,
      subject,
      rooms: [{ name: 'lobby', tag: this.room.tag, invitesRequired: this.invitesRequired }],
      hosts: this.hosts,
      settings: this.settings,
      database: this.database,
      mailbox: this.mailbox,
      sender: this.sender,
      onEvent: (event) => this.events.push(event),
    })
  }

  async start(): Promise<this> {
    await this.host.start()
    await this.settle()
    return this
  }

  /** Ends the host cleanly and starts another on the same database. */
  async restart(): Promise<void> {
    await this.stop()
    this.host = this.makeHost()
    await this.start()
  }

  async stop(): Promise<void> {
    const stopped = this.host.stop()
    let ended = false
    void stopped.finally(() => {
      ended = true
    })
    while (!ended) await this.clock.advance(100)
    await stopped
  }

  agent(name: string, publicAddress?: string, room: RoomKeys = this.room): FakeAgent {
    return new FakeAgent(name, this.keys, room, publicAddress)
  }

  /** The keys of who has a new invite of the host to its room; the host has not heard of it yet. */
  invite(terms: InviteTerms = {}): RoomKeys {
    const seed = realCrypto.randomBytes(32)
    return memberKeys(realCrypto, { pass: makePass(realCrypto, this.room, this.keys.identity, seed, terms) })
  }

  /** Opens the database as a command does, beside the running host. */
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

  /** Until the mailbox is empty and nothing is under way; hardly moves time. */
  async settle(): Promise<void> {
    await this.until(() => this.mailbox.mails.length === 0 && this.sender.underWay === 0)
    for (let round = 0; round < 25; round++) await this.clock.advance(1)
  }

  async until(condition: () => boolean): Promise<void> {
    for (let round = 0; !condition(); round++) {
      if (round > 5_000) throw new Error('it never came to that')
      await this.clock.advance(1)
    }
  }

  pass(byMs: number): Promise<void> {
    return pass(this.clock, byMs)
  }

  /** Letters sent to this agent, in order. */
  lettersTo(agent: FakeAgent): Letter[] {
    return this.sender.sent.filter(({ to }) => to[0] === agent.address).map((mail) => agent.read(mail))
  }

  drops(): string[] {
    return this.events.flatMap((event) =>
      event.event === 'letter' && event.outcome === 'dropped' ? [event.reason] : [],
    )
  }
}
