// Keeps the table of this host in step with those of the hosts that it knows (A13): sends changes to them, and compares the
// tables from time to time.

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
import type { OutgoingHostLetters } from './outgoing-host-letters.ts'
import type { Standby } from './standby.ts'

type RequestDetails = {
  /** The host that sent it; null when its agent did. */
  readonly receivedFrom?: UserId | null
  readonly flagged?: boolean
  readonly isAnsweredHere?: boolean
  /** The peers that its agent was offered; by default those that are stored. */
  readonly offered?: readonly Item[]
}

type TableExchangeOptions = {
  readonly hosts: ReadonlyMap<HostId, InviteHost>
  readonly database: HostDatabase
  readonly statements: SignedStatements
  readonly standby: Standby
  readonly outgoingLetters: OutgoingHostLetters
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

  /** Call it inside the letter's transaction. */
  handleComparison(from: HostId, comparison: TableRequestLetter['comparison']): void {
    this.#perform(this.#sync?.handleComparison(this.#context.clock.now(), from, comparison) ?? [])
  }

  /** Whether another host sent the statement of this request before the agent's own letter came. */
  wasReceivedFromHost({ room, from, sentAt }: RequestLetter): boolean {
    const { statements } = this.#options
    const known = statements.find(statements.keyOf(room, from))
    return known !== null && statements.receivedFrom(room, from) !== null && signedAt(known) >= sentAt
  }

  /** The stored items of these agents. Agents without a statement are left out. */
  itemsOf(room: RoomTag, users: readonly UserId[]): readonly Item[] {
    const { hosts, statements } = this.#options
    if (hosts.size === 0) return []
    return users.flatMap((user) => statements.find(statements.keyOf(room, user)) ?? [])
  }

  /** A request was stored in the table. */
  noteRequest(
    letter: RequestLetter,
    signed: Uint8Array,
    { receivedFrom = null, flagged = false, isAnsweredHere = false, offered }: RequestDetails = {},
  ): void {
    const { hosts, statements, standby } = this.#options
    if (hosts.size === 0) return
    const { crypto, self } = this.#context
    const version = itemVersion(crypto, letter.sentAt, requestContent(letter))
    const key = statements.keyOf(letter.room, letter.from)
    // An agent whose request was held here knows this host, too. To agents all workers of one representative are the same
    // host, so each may write to the agents of the others.
    const knowsUs =
      receivedFrom === null ||
      standby.noteAnsweredElsewhere(key, version) ||
      equalBytes(letter.to, self.agentFacingKeys.identity.publicKey)
    const stored = statements.find(key)?.version === version ? statements.get(key) : null
    statements.put(letter.room, letter.from, {
      version,
      flagged,
      signed,
      receivedFrom: knowsUs ? null : receivedFrom,
      offered: offered ?? stored?.offered ?? [],
    })
    this.#noteChange(key, receivedFrom, isAnsweredHere)
  }

  noteLeave(letter: LeaveLetter, signed: Uint8Array, receivedFrom: UserId | null): void {
    const { hosts, statements } = this.#options
    if (hosts.size === 0) return
    this.#noteChange(statements.putLeave(letter.room, letter.from, letter.sentAt, signed), receivedFrom)
  }

  noteFlag(room: RoomTag, user: UserId, receivedFrom: UserId | null = null): void {
    const { hosts, statements } = this.#options
    if (hosts.size === 0) return
    const key = statements.flag(room, user)
    if (key !== null) this.#noteChange(key, receivedFrom)
  }

  /** While this host stands by, the host that answers sends what agents wrote to both. */
  #noteChange(key: ItemKey, receivedFrom: UserId | null, isAnsweredHere = false): void {
    if (receivedFrom === null && !isAnsweredHere && !this.#options.standby.isAwake) return
    this.#sync?.noteChange(this.#context.clock.now(), key, receivedFrom && toHex(receivedFrom))
    this.#arm()
  }

  #perform(actions: readonly SyncAction[]): void {
    const { hosts, outgoingLetters } = this.#options
    for (const action of actions) {
      const host = hosts.get(action.to)
      if (!host) continue
      if (action.type === 'compare') outgoingLetters.enqueueTableRequest(host, action.comparison)
      else outgoingLetters.enqueueTable(host, action.keys)
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
