// A representative host and its workers on virtual time, with a post office in memory between them.

import { copyFileSync, existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createHost, type Host, type HostEvent, type HostSettings } from '../../src/host/host.ts'
import type { InviteHost } from '../../src/letter/invite.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'
import { Lifeline } from './cut-off.ts'
import { FakeAgent, FakeMailbox, FakeSender, makeHostKeys, makeRoom, subject } from './fakes.ts'

export type Member = {
  readonly card: InviteHost
  readonly keys: ReturnType<typeof makeHostKeys>
  readonly mailbox: FakeMailbox
  readonly sender: FakeSender
  readonly events: HostEvent[]
  /** Told at once. */
  onEvent: (event: HostEvent) => void
  /** Of the host that runs or ran last. */
  lifeline: Lifeline
  /** Path of its database. */
  database: string
  host: Host
  isUp: boolean
}

type Draft = Omit<Member, 'host'>

export class Representation {
  readonly clock = new VirtualClock()
  readonly room = makeRoom()
  /** What agents know. */
  readonly front = makeHostKeys()
  readonly representative: Member
  readonly workers: readonly Member[]
  readonly #folder = mkdtempSync(join(tmpdir(), 'peerpost-represented-'))
  readonly #settings: Partial<HostSettings>
  readonly #members = new Map<string, Member>()

  constructor(workers: number, settings: Partial<HostSettings> = {}) {
    this.#settings = settings
    const names = ['meet', ...Array.from({ length: workers }, (_, index) => `worker${index}`)]
    const drafts = names.map((name) => {
      const keys = makeHostKeys()
      const { identity, sealingKeys } = keys
      const card = {
        address: `${name}@mail.test`,
        identity: identity.publicKey,
        sealingKey: sealingKeys.publicKey,
      }
      return {
        card,
        keys,
        mailbox: new FakeMailbox(),
        sender: new FakeSender(16),
        events: [],
        onEvent: () => {},
        lifeline: new Lifeline(this.clock),
        database: join(this.#folder, `${card.address}.sqlite`),
        isUp: false,
      }
    })
    const cards = drafts.map(({ card }) => card)
    const members = drafts.map(
      (draft): Member => Object.assign(draft, { host: this.#makeHost(draft, cards) }),
    )
    for (const member of members) {
      this.#members.set(member.card.address, member)
      member.sender.answer = ({ to, raw }) => {
        this.#members.get(to[0] ?? '')?.mailbox.deliver(raw)
        return { outcome: 'sent' }
      }
    }
    const [representative, ...rest] = members
    if (!representative) throw new Error('nobody is there')
    this.representative = representative
    this.workers = rest
  }

  #makeHost(member: Draft, cards: readonly InviteHost[]): Host {
    const { card, keys, mailbox, sender, events, lifeline, database } = member
    const [representative, ...workers] = cards
    const isWorker = card !== representative
    return createHost({
      clock: lifeline.clock,
      crypto: realCrypto,
      ...keys,
      address: card.address,
      subject,
      rooms: isWorker ? [{ name: 'lobby', tag: this.room.tag }] : [],
      ...(isWorker && representative
        ? { hosts: workers.filter((other) => other !== card), represents: { ...this.front, representative } }
        : { workers }),
      settings: this.#settings,
      database,
      mailbox: lifeline.mailbox(mailbox),
      sender: lifeline.sender(sender),
      onEvent: (event) => {
        events.push(event)
        member.onEvent(event)
      },
    })
  }

  async start(): Promise<this> {
    for (const member of this.#members.values()) await this.bringUp(member)
    return this
  }

  async bringUp(member: Member): Promise<void> {
    await member.host.start()
    member.isUp = true
  }

  /** Another host on the same database may be brought up then. */
  async bringDown(member: Member): Promise<void> {
    const stopped = member.host.stop()
    let ended = false
    void stopped.finally(() => {
      ended = true
    })
    while (!ended) await this.clock.advance(100)
    this.#renew(member)
  }

  /** What is on disk now is left; another host may be brought up from it. */
  kill(member: Member): void {
    member.lifeline.cut()
    const left = `${member.database}+`
    for (const part of ['', '-wal']) {
      if (existsSync(member.database + part)) copyFileSync(member.database + part, left + part)
    }
    member.database = left
    member.mailbox.onWake = () => {}
    this.#renew(member)
  }

  #renew(member: Member): void {
    member.isUp = false
    member.lifeline = new Lifeline(this.clock)
    member.host = this.#makeHost(
      member,
      [...this.#members.values()].map(({ card }) => card),
    )
  }

  async end(): Promise<void> {
    for (const member of this.#members.values()) if (member.isUp) await this.bringDown(member)
    rmSync(this.#folder, { recursive: true })
  }

  agent(name: string): FakeAgent {
    return new FakeAgent(name, this.front, this.room)
  }

  /** To the mailbox that agents know. */
  post(mail: string): void {
    this.representative.mailbox.deliver(mail)
  }

  /** Mails to this agent, by whom. */
  mailsTo(agent: FakeAgent) {
    return this.workers.flatMap((worker) =>
      worker.sender.sent.filter(({ to }) => to[0] === agent.address).map((mail) => ({ worker, mail })),
    )
  }

  /** Until it holds; time goes on in small steps. */
  async until(holds: () => boolean, stepMs = 1): Promise<void> {
    for (let round = 0; !holds(); round++) {
      if (round > 20_000) throw new Error('it never came to that')
      await this.clock.advance(stepMs)
    }
  }
}
