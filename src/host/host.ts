// The host as a whole: creates its parts, starts them and stops them.

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
import { Counters, type Gauges } from './counters.ts'
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
import { AgentLetterDispatcher } from './requests/agent-letter-dispatcher.ts'
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
  /** Ed25519. Identifies this host. */
  readonly identity: KeyPair
  /** X25519. Letters to this host are sealed to it. */
  readonly sealingKeys: KeyPair
  /** The mailbox's address, and the From of every mail. */
  readonly address: string
  /** The right side of Message-IDs; by default the domain of `address`. */
  readonly domain?: string
  /** The Subject of every mail with a letter. */
  readonly subject: string
  readonly rooms: readonly (Pick<HostRoom, 'tag'> & Partial<HostRoom> & { readonly name: string })[]
  /** Other hosts with which this one exchanges its table (A13); by default none. */
  readonly hosts?: readonly InviteHost[]
  /** The agent that shares this host's mail address (A15); by default none. */
  readonly ownAgent?: UserId
  /** Makes this host a representative. It forwards letters of agents unopened to these hosts (A14), and it has no rooms. */
  readonly workers?: readonly InviteHost[]
  /** Makes this host a worker. It answers agents with the keys that all workers of the representative share. */
  readonly represents?: HostKeyPairs & { readonly representative: InviteHost }
  /** Admitted to no room, as are the keys that a command blocks. */
  readonly blocked?: readonly UserId[]
  /** `defaultHostSettings` holds the defaults. */
  readonly settings?: Partial<HostSettings>
  /** The path of an SQLite file, created with mode 0600 if it is missing. Or PostgreSQL, which several processes can share. */
  readonly database: DatabaseLocation
  /** Not open yet. The host opens it, closes it and sets its callbacks. */
  readonly mailbox: Mailbox
  /** The host verifies and closes it. */
  readonly sender: MailSender
  readonly onEvent: (event: HostEvent) => void
  /** Called once, when the database is damaged and a person must act. The host has stopped by then. */
  readonly onFailed?: (problem: Problem) => void
}

export interface Host {
  /** Opens the database and the mailbox, and verifies the sender. Rejects with a Problem, and then closes everything. */
  start(): Promise<void>
  /** Finishes the current letters, waits up to `stopGraceMs` for mails that are being sent, and closes everything. Can be
   *  called at any time and more than once. */
  stop(): Promise<void>
  counters(): HostCounters
  /** When the mailbox was last scanned with success, in monotonic ms; null before the first time. */
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
    const gauges = running && withDatabase(running.repositories.database, () => this.#gaugesOf(running))
    return this.#counters.counters(gauges)
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

  /** Creates all parts. None acts before it is started. */
  #assemble(): Running {
    const { mailbox, sender, workers, represents, hosts = [], sealingKeys, crypto } = this.#options
    const context = this.#makeContext()
    const repositories = this.#openRepositories()
    const outboxSender = new OutboxSender(context, { ...repositories, sender })
    const mailboxReader = new MailboxReader(context, { ...repositories, mailbox })
    const senderLimits = new SenderLimits(context.clock.now(), {
      ...context.settings.limits,
      // A representative cannot see the keys of agents.
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
    const agentLetterDispatcher = new AgentLetterDispatcher(context, {
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
        new LetterDispatcher(context, { ...repositories, agentLetterDispatcher, peerHosts, workerLink }),
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
    const agentFacingKeys = represents ?? { identity, sealingKeys }
    return {
      clock,
      crypto,
      settings: this.#settings,
      self: {
        identity,
        sealingKeys,
        agentFacingKeys,
        address,
        domain,
        subject,
        ownAgent,
        representative: represents?.representative ?? null,
        blocked: new Set(blocked.map(toHex)),
        rooms: rooms.map(({ tag, invitesRequired = false }) => ({ tag, invitesRequired })),
        hosts: [agentFacingKeys.identity.publicKey, ...hosts.map((host) => host.identity)],
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
    // The reader may wait for a mailbox that does not answer. Closing the mailbox ends this wait.
    await waitAtMost(clock, stopGraceMs, handled)
    await mailbox.close().catch(() => undefined)
    await waitAtMost(clock, stopGraceMs, handled)
    running.workerLink?.stop()
    running.representative?.stop()
    await running.outboxSender.stop(stopGraceMs)
    await sender.close().catch(() => undefined)
    try {
      this.#counters.freeze(this.#gaugesOf(running))
    } catch {
      // The database may be gone. The host must stop all the same.
    }
    this.#running = null
    running.repositories.database.close()
  }

  #gaugesOf({ repositories: { database, budget } }: Running): Gauges {
    return { ...database.counts(), sentInDay: budget.sent(this.#options.clock.wallNow()) }
  }

  #emit(event: HostEvent): void {
    this.#counters.count(event)
    try {
      this.#options.onEvent(event)
    } catch {
      // A listener that throws must not stop the host between two steps.
    }
    if (event.event === 'trouble') this.#endIfDamaged(event.problem)
  }

  /** Writes to a damaged file may be lost, and reads may be wrong. */
  #endIfDamaged(problem: Problem): void {
    if (this.#hasFailed || !this.#running || !noteIfDamaged(this.#running.repositories.database, problem))
      return
    this.#hasFailed = true
    void this.stop().then(() => this.#options.onFailed?.(problem))
  }
}

/** These roles keep state in the memory of one process. */
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
