// The host as a whole: puts its parts together, starts and stops them.

import { toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { domainOf } from '../base/mail-address.ts'
import { Problem } from '../base/problem.ts'
import type { InviteHost } from '../letter/invite.ts'
import type { LetterId, UserId } from '../letter/letter-types.ts'
import { isSealedTo } from '../letter/mail-text.ts'
import type { Mailbox } from '../mail/mailbox.ts'
import type { MailSender } from '../mail/sender.ts'
import {
  type DatabaseLocation,
  type HostDatabase,
  noteIfDamaged,
  openHostDatabase,
} from '../store/host-database.ts'
import { Cleanup } from './cleanup.ts'
import {
  type HostGround,
  type HostKeyPairs,
  type HostMemory,
  type HostParts,
  openMemory,
  withDatabase,
} from './context.ts'
import { Counters } from './counters.ts'
import type { HostCounters, HostEvent } from './events.ts'
import { MailboxReader } from './inbox/mailbox-reader.ts'
import { bounceOf } from './inbox/parse-letter.ts'
import { OutboxSender } from './outbox/outbox-sender.ts'
import { PeerHosts } from './peer-hosts/peer-hosts.ts'
import { Representative } from './representative/representative.ts'
import { WorkerLink } from './representative/worker-link.ts'
import type { HostRoom } from './requests/admission-rules.ts'
import { AgentLetterHandler } from './requests/agent-letter-handler.ts'
import { bounceTokenKey } from './requests/bounce-token.ts'
import { answerHeld } from './requests/handle-letter.ts'
import { Introducer } from './requests/introductions.ts'
import { SenderLimits } from './requests/sender-rate-limits.ts'
import { defaultHostSettings, type HostSettings } from './settings.ts'

export type { DropReason, HostCounters, HostEvent, SentKind } from './events.ts'
export { defaultHostSettings, type HostSettings } from './settings.ts'

export type HostOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  /** Ed25519: who this host is. */
  readonly identity: KeyPair
  /** X25519: what letters to this host are sealed to. */
  readonly sealingKeys: KeyPair
  /** The mailbox's address; From of everything sent. */
  readonly address: string
  /** Right side of Message-IDs; the domain of `address` if left out. */
  readonly domain?: string
  /** Of every mail that is a letter. */
  readonly subject: string
  readonly rooms: readonly (Pick<HostRoom, 'tag'> & Partial<HostRoom> & { readonly name: string })[]
  /** Other hosts with which the table is exchanged (A13); none if left out. */
  readonly hosts?: readonly InviteHost[]
  /** The agent that shares this host's mail address (A15); none if left out. */
  readonly ownAgent?: UserId
  /** Makes this host a representative, which hands the letters of agents on to these unopened (A14). It has no rooms. */
  readonly workers?: readonly InviteHost[]
  /** Makes this host a worker: it answers agents in the name of the keys that all workers of a representative share. */
  readonly represents?: HostKeyPairs & { readonly representative: InviteHost }
  /** Let in nowhere, beside those that a command blocked. */
  readonly blocked?: readonly UserId[]
  /** Whatever is left out is as in `defaultHostSettings`. */
  readonly settings?: Partial<HostSettings>
  /** Path of the database file; made (mode 0600) if it is not there. Or PostgreSQL, for as many processes as there are. */
  readonly database: DatabaseLocation
  /** Not yet open; the host opens and closes it and sets its callbacks. */
  readonly mailbox: Mailbox
  /** The host verifies and closes it. */
  readonly sender: MailSender
  readonly onEvent: (event: HostEvent) => void
  /** Once, when it can do nothing any more until a person has acted: its database is damaged. It stops by itself. */
  readonly onFailed?: (problem: Problem) => void
}

export interface Host {
  /** Opens the database and the mailbox and verifies the sender. Rejects with a Problem; then nothing stays open. */
  start(): Promise<void>
  /** Finishes the letter in hand, lets mails under way end for up to `stopGraceMs`, closes everything. May be
   *  called at any time and more than once. */
  stop(): Promise<void>
  counters(): HostCounters
  /** When the mailbox was last looked through with success; monotonic ms, null before. */
  readonly scannedAt: number | null
}

export function createHost(options: HostOptions): Host {
  return new HostService(options)
}

class HostService implements Host {
  readonly #options: HostOptions
  readonly #settings: HostSettings
  readonly #tally = new Counters()
  #running: Running | null = null
  #starting: Promise<void> | null = null
  #stopping: Promise<void> | null = null
  #hasFailed = false

  constructor(options: HostOptions) {
    this.#options = options
    this.#settings = { ...defaultHostSettings, ...options.settings }
  }

  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  counters(): HostCounters {
    const parts = this.#running?.parts
    return this.#tally.counters(parts ? withDatabase(parts.database, () => levelsOf(parts)) : null)
  }

  get scannedAt(): number | null {
    return this.#running?.mailboxReader.scannedAt ?? null
  }

  async #start(): Promise<void> {
    const { mailbox, sender, address, rooms } = this.#options
    const running = this.#putTogether()
    this.#running = running
    const ready = await Promise.allSettled([mailbox.open(), sender.verify()])
    if (this.#stopping) return this.#stopping
    const failure = ready.find((result) => result.status === 'rejected')
    if (failure) {
      await this.stop()
      throw failure.reason
    }
    this.#emit({ event: 'ready', address, rooms: rooms.map(({ name }) => name) })
    running.mailboxReader.start()
    running.outboxSender.pump()
    running.introducer.wake()
    running.housekeeper.start()
    running.parts.peerHosts.start()
    running.forwarding?.start()
    running.workerLink?.start()
  }

  #putTogether(): Running {
    const { clock, crypto, identity, sealingKeys, address, subject, rooms, mailbox, sender } = this.#options
    const domain = this.#options.domain ?? domainOf(address)
    const { represents, workers } = this.#options
    const front = represents ?? { identity, sealingKeys }
    const database = openHostDatabase(this.#options.database)
    const ground: HostGround = {
      ...this.#openMemory(database),
      self: {
        ...{ identity, sealingKeys, address, domain, subject, front },
        representative: represents?.representative ?? null,
        ownAgent: this.#options.ownAgent ?? null,
        blocked: new Set((this.#options.blocked ?? []).map(toHex)),
        rooms: rooms.map(({ tag, invitesRequired = false }) => ({ tag, invitesRequired })),
        hosts: [front.identity.publicKey, ...(this.#options.hosts ?? []).map((host) => host.identity)],
        bounceTokenKey: bounceTokenKey(crypto, identity),
      },
      // Who has which key only workers see.
      limits: new SenderLimits(clock.now(), { ...this.#settings.limits, ...(workers && { perKey: 0 }) }),
      settings: this.#settings,
      clock,
      crypto,
      emit: (event) => this.#emit(event),
    }
    const peerHosts = new PeerHosts(ground, this.#options.hosts ?? [], {
      onMail: () => outboxSender.pump(),
      onAnswer: (held) => {
        answerHeld(parts, held, clock.wallNow())
        introducer.wake()
      },
    })
    const parts: HostParts = { ...ground, peerHosts }
    const forwarding = workers && new Representative(ground, workers, () => outboxSender.pump())
    const workerLink =
      represents && new WorkerLink(ground, represents.representative, () => outboxSender.pump())
    const forwards = workerLink && {
      asksFor: (id: LetterId) => workerLink.asksFor(id, mailboxReader.scannedAt),
      onTaken: (id: LetterId) => workerLink.noteTaken(id),
      onWanted: (id: LetterId) => workerLink.noteWanted(id),
      tellWanted: () => workerLink.tellWanted(),
    }
    const desk = forwarding ?? new AgentLetterHandler(parts, forwards)
    const outboxSender = new OutboxSender(parts, sender)
    const introducer = new Introducer(parts, {
      isBacklog: () => mailboxReader.isBusy || outboxSender.mayHoldReplies,
      onCommit: () => outboxSender.pump(['normal']),
    })
    const mailboxReader = new MailboxReader(parts, mailbox, desk, {
      onCommit: () => {
        outboxSender.pump()
        introducer.wake()
      },
    })
    const housekeeper = new Cleanup(parts, (order) => outboxSender.isBusyWith(order))
    mailbox.onWake = () => mailboxReader.wake()
    mailbox.isOurReport = (raw) => bounceOf(parts, raw) !== null
    mailbox.opens = (text) => isSealedTo(crypto, text, [sealingKeys])
    mailbox.onState = (state) => {
      workerLink?.noteMailbox(state)
      this.#emit({ event: 'mailbox', ...state })
    }
    return { parts, mailboxReader, outboxSender, introducer, housekeeper, forwarding, workerLink }
  }

  #openMemory(database: HostDatabase): HostMemory {
    const { crypto, hosts = [], workers, represents } = this.#options
    try {
      const isAlone = hosts.length === 0 && !workers && !represents
      if (database.connection.isShared && !isAlone) throw notOnPostgres
      const owner = toHex(crypto.randomBytes(16))
      return withDatabase(database, () => openMemory(database, this.#settings, owner))
    } catch (thrown) {
      database.close()
      throw thrown
    }
  }

  async #stop(): Promise<void> {
    const running = this.#running
    if (!running) return
    const { mailbox, sender } = this.#options
    running.housekeeper.stop()
    running.introducer.stop()
    running.parts.peerHosts.stop()
    const handled = running.mailboxReader.stop()
    // A mailbox that answers nobody would keep the courier waiting; closing it ends that.
    await this.#forAWhile(handled)
    await mailbox.close().catch(() => undefined)
    await this.#forAWhile(handled)
    running.workerLink?.stop()
    running.forwarding?.stop()
    await running.outboxSender.stop(this.#settings.stopGraceMs)
    await sender.close().catch(() => undefined)
    try {
      this.#tally.freeze(levelsOf(running.parts))
    } catch {
      // The database is gone; that must not keep the host from ending.
    }
    this.#running = null
    running.parts.database.close()
  }

  async #forAWhile(work: Promise<unknown>): Promise<void> {
    const { clock } = this.#options
    let cancel = () => {}
    const grace = new Promise<void>((resolve) => {
      cancel = clock.after(this.#settings.stopGraceMs, resolve)
    })
    await Promise.race([work, grace])
    cancel()
  }

  #emit(event: HostEvent): void {
    this.#tally.count(event)
    try {
      this.#options.onEvent(event)
    } catch {
      // Whoever listens must not be able to stop the host between two steps.
    }
    if (event.event === 'trouble') this.#endIfDamaged(event.problem)
  }

  /** What is written to a damaged file may be lost, and what is read from it wrong. */
  #endIfDamaged(problem: Problem): void {
    if (this.#hasFailed || !this.#running || !noteIfDamaged(this.#running.parts.database, problem)) return
    this.#hasFailed = true
    void this.stop().then(() => this.#options.onFailed?.(problem))
  }
}

/** What they remember of each other is in the memory of one process. */
const notOnPostgres = new Problem(
  'config',
  'A host on PostgreSQL cannot exchange tables with other hosts, represent them or work for one.',
  'Take out [[hosts]] and [represents], or keep its table in a file: [table] path instead of url.',
)

function levelsOf({ database, budget, clock }: HostParts) {
  return { ...database.counts(), sentInDay: budget.sent(clock.wallNow()) }
}

type Running = {
  readonly parts: HostParts
  readonly mailboxReader: MailboxReader
  readonly outboxSender: OutboxSender
  readonly introducer: Introducer
  readonly housekeeper: Cleanup
  readonly forwarding: Representative | undefined
  readonly workerLink: WorkerLink | undefined
}
