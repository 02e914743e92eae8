// The host as a whole: puts its parts together, starts and stops them.

import { toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { waitAtMost } from '../base/grace-time.ts'
import { domainOf } from '../base/mail-address.ts'
import { Problem } from '../base/problem.ts'
import type { InviteHost } from '../letter/invite.ts'
import type { UserId } from '../letter/letter-types.ts'
import { isSealedTo } from '../letter/mail-text.ts'
import type { Mailbox, MailboxHandlers } from '../mail/mailbox.ts'
import type { MailSender } from '../mail/sender.ts'
import { type DatabaseLocation, noteIfDamaged, openHostDatabase } from '../store/host-database.ts'
import { Cleanup } from './cleanup.ts'
import type { HostContext, HostKeyPairs, HostRoom } from './context.ts'
import { Counters, type Levels } from './counters.ts'
import type { HostCounters, HostEvent } from './events.ts'
import { withDatabase } from './host-problems.ts'
import { readBounce } from './inbox/bounced-mail.ts'
import { LetterDispatcher } from './inbox/letter-dispatcher.ts'
import type { MailHandler } from './inbox/mail-handler.ts'
import { MailboxReader } from './inbox/mailbox-reader.ts'
import { OutboxSender } from './outbox/outbox-sender.ts'
import { PeerHosts } from './peer-hosts/peer-hosts.ts'
import { openRepositories, type Repositories } from './repositories.ts'
import { Representative } from './representative/representative.ts'
import { WorkerLink } from './representative/worker-link.ts'
import { Admission } from './requests/admission.ts'
import { AgentLetters } from './requests/agent-letters.ts'
import { bounceTokenKey } from './requests/bounce-token.ts'
import { RequestHandler } from './requests/handle-request.ts'
import { Introducer } from './requests/introductions.ts'
import { RoomMembers } from './requests/room-members.ts'
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
  readonly #counters = new Counters()
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
    const running = this.#running
    const levels = running && withDatabase(running.repositories.database, () => this.#levelsOf(running))
    return this.#counters.counters(levels)
  }

  get scannedAt(): number | null {
    return this.#running?.mailboxReader.scannedAt ?? null
  }

  async #start(): Promise<void> {
    const { mailbox, sender, address, rooms } = this.#options
    const running = this.#assemble()
    this.#running = running
    const ready = await Promise.allSettled([mailbox.open(running.mailboxHandlers), sender.verify()])
    if (this.#stopping) return this.#stopping
    const failure = ready.find((result) => result.status === 'rejected')
    if (failure) {
      await this.stop()
      throw failure.reason
    }
    this.#emit({ event: 'ready', address, rooms: rooms.map(({ name }) => name) })
    const { mailboxReader, mailHandler, outboxSender, introducer, peerHosts, requestHandler } = running
    mailboxReader.start({
      mailHandler,
      onCommit: () => {
        outboxSender.pump()
        introducer.wake()
      },
    })
    outboxSender.pump()
    introducer.wake()
    running.cleanup.start()
    peerHosts.start((held) => {
      requestHandler.answerHeld(held, this.#options.clock.wallNow())
      introducer.wake()
    })
    running.representative?.start()
    running.workerLink?.start()
  }

  /** Nothing of it acts before it is started. */
  #assemble(): Running {
    const { mailbox, sender, workers, represents, hosts = [], sealingKeys, crypto } = this.#options
    const context = this.#makeContext()
    const repositories = this.#openRepositories()
    const outboxSender = new OutboxSender(context, { ...repositories, sender })
    const mailboxReader = new MailboxReader(context, { ...repositories, mailbox })
    const senderLimits = new SenderLimits(context.clock.now(), {
      ...context.settings.limits,
      // Who has which key only workers see.
      ...(workers && { perKey: 0 }),
    })
    const roomMembers = new RoomMembers(context, repositories)
    const peerHosts = new PeerHosts(context, { ...repositories, hosts, roomMembers, outboxSender })
    const { standby, relay, tableExchange, lateIntroductions } = peerHosts
    const requestHandler = new RequestHandler(context, {
      ...repositories,
      standby,
      relay,
      tableExchange,
      lateIntroductions,
    })
    const introducer = new Introducer(context, { ...repositories, mailboxReader, outboxSender })
    const representative = workers
      ? new Representative(context, { ...repositories, workers, senderLimits, outboxSender })
      : null
    const workerLink = represents
      ? new WorkerLink(context, {
          ...repositories,
          representative: represents.representative,
          mailboxReader,
          outboxSender,
        })
      : null
    const agentLetters = new AgentLetters(context, {
      ...repositories,
      senderLimits,
      admission: new Admission(context, { ...repositories, roomMembers, senderLimits }),
      requestHandler,
      peerHosts,
      standby,
      relay,
      tableExchange,
    })
    const mailboxHandlers: MailboxHandlers = {
      ...mailboxReader.handlers,
      isOurReport: (raw) => readBounce(context, raw) !== null,
      opens: (text) => isSealedTo(crypto, text, [sealingKeys]),
      onState: (state) => {
        workerLink?.noteMailbox(state)
        this.#emit({ event: 'mailbox', ...state })
      },
    }
    return {
      mailboxHandlers,
      repositories,
      mailboxReader,
      mailHandler:
        representative ??
        new LetterDispatcher(context, { ...repositories, agentLetters, peerHosts, workerLink }),
      outboxSender,
      introducer,
      requestHandler,
      peerHosts,
      cleanup: new Cleanup(context, { ...repositories, outboxSender }),
      representative,
      workerLink,
    }
  }

  #makeContext(): HostContext {
    const { clock, crypto, identity, sealingKeys, address, subject, rooms, represents } = this.#options
    const { domain = domainOf(address), hosts = [], blocked = [], ownAgent = null } = this.#options
    const front = represents ?? { identity, sealingKeys }
    return {
      clock,
      crypto,
      settings: this.#settings,
      self: {
        identity,
        sealingKeys,
        front,
        address,
        domain,
        subject,
        ownAgent,
        representative: represents?.representative ?? null,
        blocked: new Set(blocked.map(toHex)),
        rooms: rooms.map(({ tag, invitesRequired = false }) => ({ tag, invitesRequired })),
        hosts: [front.identity.publicKey, ...hosts.map((host) => host.identity)],
        bounceTokenKey: bounceTokenKey(crypto, identity),
      },
      emit: (event) => this.#emit(event),
    }
  }

  #openRepositories(): Repositories {
    const { crypto, hosts = [], workers, represents } = this.#options
    const database = openHostDatabase(this.#options.database)
    try {
      const isAlone = hosts.length === 0 && !workers && !represents
      if (database.connection.isShared && !isAlone) throw notOnPostgres
      const owner = toHex(crypto.randomBytes(16))
      return withDatabase(database, () => openRepositories(database, this.#settings, owner))
    } catch (thrown) {
      database.close()
      throw thrown
    }
  }

  async #stop(): Promise<void> {
    const running = this.#running
    if (!running) return
    const { mailbox, sender, clock } = this.#options
    const { stopGraceMs } = this.#settings
    running.cleanup.stop()
    running.introducer.stop()
    running.peerHosts.stop()
    const handled = running.mailboxReader.stop()
    // A mailbox that answers nobody would keep the reader waiting; closing it ends that.
    await waitAtMost(clock, stopGraceMs, handled)
    await mailbox.close().catch(() => undefined)
    await waitAtMost(clock, stopGraceMs, handled)
    running.workerLink?.stop()
    running.representative?.stop()
    await running.outboxSender.stop(stopGraceMs)
    await sender.close().catch(() => undefined)
    try {
      this.#counters.freeze(this.#levelsOf(running))
    } catch {
      // The database is gone; that must not keep the host from ending.
    }
    this.#running = null
    running.repositories.database.close()
  }

  #levelsOf({ repositories: { database, budget } }: Running): Levels {
    return { ...database.counts(), sentInDay: budget.sent(this.#options.clock.wallNow()) }
  }

  #emit(event: HostEvent): void {
    this.#counters.count(event)
    try {
      this.#options.onEvent(event)
    } catch {
      // Whoever listens must not be able to stop the host between two steps.
    }
    if (event.event === 'trouble') this.#endIfDamaged(event.problem)
  }

  /** What is written to a damaged file may be lost, and what is read from it wrong. */
  #endIfDamaged(problem: Problem): void {
    if (this.#hasFailed || !this.#running || !noteIfDamaged(this.#running.repositories.database, problem))
      return
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

type Running = {
  readonly repositories: Repositories
  readonly mailboxReader: MailboxReader
  readonly mailboxHandlers: MailboxHandlers
  readonly mailHandler: MailHandler
  readonly outboxSender: OutboxSender
  readonly introducer: Introducer
  readonly requestHandler: RequestHandler
  readonly peerHosts: PeerHosts
  readonly cleanup: Cleanup
  readonly representative: Representative | null
  readonly workerLink: WorkerLink | null
}
