// The hosts that this one knows by their keys (A13): what they tell is taken, and what changes here is told to
// them.

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
import { type BetweenHosts, repeats } from './host-letters.ts'
import { HostMails } from './host-mails.ts'
import { LateIntroductions } from './late-introductions.ts'
import { Relay } from './relay.ts'
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
  readonly #hostMails: HostMails
  readonly #revocationSync: RevocationSync
  readonly #statementReceiver: StatementReceiver

  constructor(context: HostContext, options: PeerHostsOptions) {
    this.#context = context
    this.#options = options
    const hosts = new Map(options.hosts.map((host) => [toHex(host.identity), host]))
    const statements = new SignedStatements(options.database, context.crypto, context.settings)
    const hostMails = new HostMails(context, { ...options, statements })
    const standby = new Standby(context, { ...options, hosts, statements, hostMails })
    const relay = new Relay(context, { ...options, hosts, statements, hostMails })
    const tableExchange = new TableExchange(context, { ...options, hosts, statements, standby, hostMails })
    const lateIntroductions = new LateIntroductions(context, { ...options, statements, relay })
    this.standby = standby
    this.relay = relay
    this.tableExchange = tableExchange
    this.lateIntroductions = lateIntroductions
    this.#hosts = hosts
    this.#hostMails = hostMails
    this.#revocationSync = new RevocationSync(context, { ...options, hosts, hostMails })
    this.#statementReceiver = new StatementReceiver(context, {
      ...options,
      statements,
      tableExchange,
      lateIntroductions,
    })
  }

  /** `onUnanswered`: no other host answered these; inside a transaction. */
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

  /** Inside the letter's transaction. Null when it was taken, or why it has no effect. `now` is wall time. */
  take(letter: BetweenHosts, now: number): DropReason | null {
    const from = toHex(letter.from)
    const host = this.#hosts.get(from)
    if (!host) return 'unknown-host'
    const again = repeats(this.#context, this.#options.seen, letter, now)
    if (again !== null) return again
    switch (letter.kind) {
      case 'table-request':
        this.tableExchange.handleComparison(from, letter.comparison)
        if (letter.comparison.newest)
          for (const revoked of this.#revocationSync.all) this.#hostMails.enqueueTable(host, [], { revoked })
        return null
      case 'table':
        if (letter.statements.length + letter.introduce.length === 0 && !letter.revoked)
          this.standby.noteAnnouncement(from)
        this.#revocationSync.take(letter.revoked ?? [])
        for (const statement of letter.statements) this.#statementReceiver.take(statement, letter.from, now)
        for (const request of letter.introduce) this.relay.takeIntroductionRequest(request, from, now)
        return null
      case 'signal':
        return this.relay.takeSignal(letter, from, now)
      default:
        return 'unexpected-kind'
    }
  }

  /** Those of the addresses of a mail that are hosts we know: it went to them as well. */
  among(addresses: readonly string[]): readonly HostId[] {
    return [...this.#hosts].flatMap(([id, { address }]) =>
      addresses.some((other) => sameAddress(other, address)) ? [id] : [],
    )
  }
}
