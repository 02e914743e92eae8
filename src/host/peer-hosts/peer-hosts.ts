// Exchanges letters with the hosts that this one knows by their keys (A13), and creates the parts that do so.

import { toHex } from '../../base/bytes.ts'
import { sameAddress } from '../../base/mail-address.ts'
import type { InviteHost } from '../../letter/invite.ts'
import { SignedStatements } from '../../store/signed-statements.ts'
import type { HostId } from '../../sync/table-sync.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'
import type { OutboxSender } from '../outbox/outbox-sender.ts'
import type { Repositories } from '../repositories.ts'
import type { RoomMembers } from '../requests/room-members.ts'
import { completionWindowMs, LateIntroductions } from './late-introductions.ts'
import { OutgoingHostLetters } from './outgoing-host-letters.ts'
import type { PeerHostLetter } from './peer-host-letter.ts'
import { Relay } from './relay.ts'
import { checkReplay } from './replay-check.ts'
import { RevocationSync } from './revocation-sync.ts'
import { type HeldRequest, Standby } from './standby.ts'
import { StatementReceiver } from './statement-receiver.ts'
import { TableExchange } from './table-exchange.ts'

type PeerHostsOptions = Pick<
  Repositories,
  | 'database'
  | 'peers'
  | 'seen'
  | 'invites'
  | 'revocations'
  | 'outbox'
  | 'budget'
  | 'introductions'
  | 'unreachable'
> & {
  readonly hosts: readonly InviteHost[]
  readonly roomMembers: RoomMembers
  readonly outboxSender: Pick<OutboxSender, 'pump'>
}

export class PeerHosts {
  readonly standby: Standby
  readonly relay: Relay
  readonly tableExchange: TableExchange
  readonly lateIntroductions: LateIntroductions
  readonly #context: HostContext
  readonly #options: PeerHostsOptions
  readonly #hosts: ReadonlyMap<HostId, InviteHost>
  readonly #outgoingLetters: OutgoingHostLetters
  readonly #revocationSync: RevocationSync
  readonly #statementReceiver: StatementReceiver

  constructor(context: HostContext, options: PeerHostsOptions) {
    this.#context = context
    this.#options = options
    const hosts = new Map(options.hosts.map((host) => [toHex(host.identity), host]))
    const statements = new SignedStatements(options.database, context.crypto, context.settings)
    const outgoingLetters = new OutgoingHostLetters(context, {
      ...options,
      statements,
      offeredForMs: completionWindowMs,
    })
    const standby = new Standby(context, { ...options, hosts, statements, outgoingLetters })
    const relay = new Relay(context, { ...options, hosts, statements, outgoingLetters })
    const tableExchange = new TableExchange(context, {
      ...options,
      hosts,
      statements,
      standby,
      outgoingLetters,
    })
    const lateIntroductions = new LateIntroductions(context, { ...options, statements, relay })
    this.standby = standby
    this.relay = relay
    this.tableExchange = tableExchange
    this.lateIntroductions = lateIntroductions
    this.#hosts = hosts
    this.#outgoingLetters = outgoingLetters
    this.#revocationSync = new RevocationSync(context, { ...options, hosts, outgoingLetters })
    this.#statementReceiver = new StatementReceiver(context, {
      ...options,
      statements,
      tableExchange,
      lateIntroductions,
    })
  }

  /** `onUnanswered`: called inside a transaction with requests that no other host answered. */
  start(onUnanswered: (held: readonly HeldRequest[]) => void): void {
    this.standby.start((held) => {
      onUnanswered(held)
      this.#options.outboxSender.pump()
    })
    if (this.#hosts.size === 0) return
    this.relay.start()
    this.#revocationSync.start()
    this.tableExchange.start()
  }

  stop(): void {
    this.standby.stop()
    this.tableExchange.stop()
    this.relay.stop()
    this.#revocationSync.stop()
  }

  /** Call it inside the letter's transaction. Null when the letter is accepted, else why it has no effect. `now` is wall
   *  time. */
  handle(letter: PeerHostLetter, now: number): DropReason | null {
    const from = toHex(letter.from)
    const host = this.#hosts.get(from)
    if (!host) return 'unknown-host'
    const replay = checkReplay(this.#context, this.#options.seen, letter, now)
    if (replay !== null) return replay
    switch (letter.kind) {
      case 'table-request':
        this.tableExchange.handleComparison(from, letter.comparison)
        if (letter.comparison.newest)
          for (const revoked of this.#revocationSync.all)
            this.#outgoingLetters.enqueueTable(host, [], { revoked })
        return null
      case 'table':
        if (letter.statements.length + letter.introduce.length === 0 && !letter.revoked)
          this.standby.noteAnnouncement(from)
        this.#revocationSync.receive(letter.revoked ?? [])
        for (const statement of letter.statements)
          this.#statementReceiver.receive(statement, letter.from, now)
        for (const request of letter.introduce) this.relay.handleIntroductionRequest(request, from, now)
        return null
      case 'signal':
        return this.relay.handleSignal(letter, from, now)
      default:
        return 'unexpected-kind'
    }
  }

  /** The hosts that this one knows among the recipients of a mail. */
  hostsAmong(addresses: readonly string[]): readonly HostId[] {
    return [...this.#hosts].flatMap(([id, { address }]) =>
      addresses.some((other) => sameAddress(other, address)) ? [id] : [],
    )
  }
}
