// Keeps the table of this host and those of the hosts that it knows in step (A13): what changes here is told to them, and
// from time to time the tables are compared.

import { equalBytes, toHex } from '../../base/bytes.ts'
import type { InviteHost } from '../../letter/invite.ts'
import { requestContent } from '../../letter/letter-codec.ts'
import type {
  LeaveLetter,
  RequestLetter,
  RoomTag,
  TableRequestLetter,
  UserId,
} from '../../letter/letter-types.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import { type Item, type ItemKey, itemVersion, signedAt } from '../../sync/item-version.ts'
import { defaultSyncSettings, type HostId, type SyncAction, TableSync } from '../../sync/table-sync.ts'
import type { HostContext } from '../context.ts'
import { tryDatabase } from '../host-problems.ts'
import type { HostMails } from './host-mails.ts'
import type { Standby } from './standby.ts'

type RequestNews = {
  /** The host that passed it on; null when its agent sent it. */
  readonly toldBy?: UserId | null
  readonly flagged?: boolean
  readonly isAnsweredHere?: boolean
  /** Whom its agent was offered; left out where nothing new is known of that. */
  readonly offered?: readonly Item[]
}

type TableExchangeOptions = {
  readonly hosts: ReadonlyMap<HostId, InviteHost>
  readonly database: HostDatabase
  readonly statements: SignedStatements
  readonly standby: Standby
  readonly hostMails: HostMails
}

export class TableExchange {
  readonly #context: HostContext
  readonly #options: TableExchangeOptions
  #sync: TableSync | null = null
  #cancelTimer: () => void = () => {}
  #isRunning = false

  constructor(context: HostContext, options: TableExchangeOptions) {
    this.#context = context
    this.#options = options
  }

  start(): void {
    const { clock, crypto } = this.#context
    this.#isRunning = true
    this.#sync = new TableSync({
      hosts: [...this.#options.hosts.keys()],
      table: this.#options.statements,
      random: () => (crypto.randomBytes(1)[0] as number) / 256,
      settings: defaultSyncSettings,
      now: clock.now(),
    })
    this.#arm()
  }

  stop(): void {
    this.#isRunning = false
    this.#cancelTimer()
  }

  /** Inside the transaction of the letter it came in. */
  handleComparison(from: HostId, comparison: TableRequestLetter['comparison']): void {
    this.#perform(this.#sync?.handleComparison(this.#context.clock.now(), from, comparison) ?? [])
  }

  /** Whether another host told of this very request before its agent's letter came. */
  isTold({ room, from, sentAt }: RequestLetter): boolean {
    const { statements } = this.#options
    const known = statements.find(statements.keyOf(room, from))
    return known !== null && statements.receivedFrom(room, from) !== null && signedAt(known) >= sentAt
  }

  /** What is known of those of them that other hosts may be told of. */
  itemsOf(room: RoomTag, users: readonly UserId[]): readonly Item[] {
    const { hosts, statements } = this.#options
    if (hosts.size === 0) return []
    return users.flatMap((user) => statements.find(statements.keyOf(room, user)) ?? [])
  }

  /** A request was taken into the table. */
  noteRequest(
    letter: RequestLetter,
    signed: Uint8Array,
    { toldBy = null, flagged = false, isAnsweredHere = false, offered }: RequestNews = {},
  ): void {
    const { hosts, statements, standby } = this.#options
    if (hosts.size === 0) return
    const { crypto, self } = this.#context
    const version = itemVersion(crypto, letter.sentAt, requestContent(letter))
    const key = statements.keyOf(letter.room, letter.from)
    // Some host has answered it; of an agent that asked us, too, we know how to reach it. Workers of one representative are
    // the same host to agents: each may write to those that the others tell of.
    const knowsUs =
      toldBy === null ||
      standby.noteTold(key, version) ||
      equalBytes(letter.to, self.front.identity.publicKey)
    const before = statements.find(key)?.version === version ? statements.get(key) : null
    statements.put(letter.room, letter.from, {
      version,
      flagged,
      signed,
      receivedFrom: knowsUs ? null : toldBy,
      offered: offered ?? before?.offered ?? [],
    })
    this.#noteChange(key, toldBy, isAnsweredHere)
  }

  noteGoodbye(letter: LeaveLetter, signed: Uint8Array, toldBy: UserId | null): void {
    const { hosts, statements } = this.#options
    if (hosts.size === 0) return
    this.#noteChange(statements.putLeave(letter.room, letter.from, letter.sentAt, signed), toldBy)
  }

  noteFlag(room: RoomTag, user: UserId, toldBy: UserId | null = null): void {
    const { hosts, statements } = this.#options
    if (hosts.size === 0) return
    const key = statements.flag(room, user)
    if (key !== null) this.#noteChange(key, toldBy)
  }

  /** While we stand by, what agents tell us is told to the others by the host that answers. */
  #noteChange(key: ItemKey, toldBy: UserId | null, isAnsweredHere = false): void {
    if (toldBy === null && !isAnsweredHere && !this.#options.standby.isAwake) return
    this.#sync?.noteChange(this.#context.clock.now(), key, toldBy && toHex(toldBy))
    this.#arm()
  }

  #perform(actions: readonly SyncAction[]): void {
    const { hosts, hostMails } = this.#options
    for (const action of actions) {
      const host = hosts.get(action.to)
      if (!host) continue
      if (action.type === 'compare') hostMails.enqueueTableRequest(host, action.comparison)
      else hostMails.enqueueTable(host, action.keys)
    }
    this.#arm()
  }

  #arm(): void {
    this.#cancelTimer()
    const due = this.#isRunning ? (this.#sync?.nextTimeout() ?? null) : null
    if (due === null) return
    const { clock } = this.#context
    const { database } = this.#options
    this.#cancelTimer = clock.after(Math.max(1, due - clock.now()), () => {
      tryDatabase(this.#context, database, () =>
        database.transaction(() => this.#perform(this.#sync?.handleTimeout(clock.now()) ?? [])),
      )
      this.#arm()
    })
  }
}
