// The hosts that this one knows by their keys (A13): what they tell is taken, and what changes here is told to
// them.

import { equalBytes, toHex } from '../../base/bytes.ts'
import { sameAddress } from '../../base/mail-address.ts'
import type { InviteHost } from '../../letter/invite.ts'
import { requestContent } from '../../letter/letter-codec.ts'
import type { LeaveLetter, RequestLetter, RoomTag, TableLetter, UserId } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import { SignedStatements } from '../../store/signed-statements.ts'
import { encodeItems, type Item, itemVersion, signedAt } from '../../sync/item-version.ts'
import { defaultSyncSettings, type HostId, type SyncAction, TableSync } from '../../sync/table-sync.ts'
import { type HostGround, tryTransaction } from '../context.ts'
import type { DropReason } from '../events.ts'
import { lateMs } from '../late-introductions.ts'
import { freezeLetter, type HostLetter, letterHeadBetweenHosts } from '../requests/compose-letter.ts'
import { takeStatement } from './apply-statement.ts'
import { type BetweenHosts, repeats } from './host-letters.ts'
import { Relay } from './relay.ts'
import { RevocationSync } from './revocation-sync.ts'
import { type HeldRequest, Standby } from './standby.ts'

export type PeerHostsNotices = {
  /** There is a mail in the outbox. */
  readonly onMail: () => void
  /** No other host answered these: inside a transaction. */
  readonly onAnswer: (held: readonly HeldRequest[]) => void
}

export type RequestNews = {
  /** The host that passed it on; null when its agent sent it. */
  readonly toldBy?: UserId | null
  readonly flagged?: boolean
  readonly isAnsweredHere?: boolean
  /** Whom its agent was offered; left out where nothing new is known of that. */
  readonly offered?: readonly Item[]
}

export class PeerHosts {
  readonly standby: Standby
  readonly relaying: Relay
  readonly #parts: HostGround
  readonly #hosts: ReadonlyMap<HostId, InviteHost>
  readonly statements: SignedStatements
  readonly #onMail: () => void
  #exchange: TableSync | null = null
  readonly #revoking: RevocationSync
  #cancelTimer: () => void = () => {}
  #isRunning = false

  constructor(parts: HostGround, hosts: readonly InviteHost[], { onMail, onAnswer }: PeerHostsNotices) {
    this.#parts = parts
    this.#hosts = new Map(hosts.map((host) => [toHex(host.identity), host]))
    this.statements = new SignedStatements(parts.database, parts.crypto, parts.settings)
    this.#onMail = onMail
    this.relaying = new Relay(parts, {
      hosts: this.#hosts,
      statements: this.statements,
      sendSignal: (host, signal) =>
        this.#send(host, { ...letterHeadBetweenHosts(parts, host.identity), kind: 'signal', ...signal }),
      sendWishes: (host, keys, introduce) => this.#sendTable(host, keys, { introduce }),
      guarded: (work) => this.#guarded(work),
    })
    this.#revoking = new RevocationSync(parts, (revoked) => {
      for (const host of hosts) this.#sendTable(host, [], { revoked })
    })
    this.standby = new Standby(parts, [...this.#hosts.keys()], {
      onAnswer: (held) => {
        onAnswer(held)
        onMail()
      },
      onAnnounce: (to) => this.#announce(to),
    })
  }

  start(): void {
    this.standby.start()
    if (this.#hosts.size === 0) return
    const { clock, crypto } = this.#parts
    this.#isRunning = true
    this.relaying.start()
    this.#revoking.start()
    this.#exchange = new TableSync({
      hosts: [...this.#hosts.keys()],
      table: this.statements,
      random: () => (crypto.randomBytes(1)[0] as number) / 256,
      settings: defaultSyncSettings,
      now: clock.now(),
    })
    this.#arm()
  }

  stop(): void {
    this.standby.stop()
    this.#isRunning = false
    this.#cancelTimer()
    this.relaying.stop()
    this.#revoking.stop()
  }

  /** Inside the letter's transaction. Null when it was taken, or why it has no effect. */
  take(letter: BetweenHosts, now: number): DropReason | null {
    const from = toHex(letter.from)
    const host = this.#hosts.get(from)
    if (!host) return 'unknown-host'
    const again = repeats(this.#parts, letter, now)
    if (again !== null) return again
    const monotonic = this.#parts.clock.now()
    switch (letter.kind) {
      case 'table-request':
        this.#perform(this.#exchange?.handleComparison(monotonic, from, letter.comparison) ?? [])
        if (letter.comparison.newest)
          for (const some of this.#revoking.all) this.#sendTable(host, [], { revoked: some })
        return null
      case 'table':
        if (letter.statements.length + letter.introduce.length === 0 && !letter.revoked)
          this.standby.noteAnnouncement(from)
        this.#revoking.take(letter.revoked ?? [])
        for (const statement of letter.statements)
          takeStatement(this.#parts, this, statement, letter.from, now)
        for (const wish of letter.introduce) this.relaying.takeWish(wish, from, now)
        return null
      case 'signal':
        return this.relaying.takeSignal(letter, from, now)
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

  /** Whether another host told of this very request before its agent's letter came. */
  isTold({ room, from, sentAt }: RequestLetter): boolean {
    const known = this.statements.find(this.statements.keyOf(room, from))
    return known !== null && this.statements.receivedFrom(room, from) !== null && signedAt(known) >= sentAt
  }

  /** The request is left to another host for now. It is told to nobody before it is answered: hosts that both stand by would
   *  take each other for the one that answers. */
  hold(held: HeldRequest, asked: readonly HostId[]): void {
    const { letter } = held
    const version = itemVersion(this.#parts.crypto, letter.sentAt, requestContent(letter))
    this.standby.hold(this.statements.keyOf(letter.room, letter.from), version, held, asked)
  }

  /** What is known of those of them that other hosts may be told of. */
  itemsOf(room: RoomTag, users: readonly UserId[]): readonly Item[] {
    if (this.#hosts.size === 0) return []
    return users.flatMap((user) => this.statements.find(this.statements.keyOf(room, user)) ?? [])
  }

  /** A request was taken into the table. */
  noteRequest(
    letter: RequestLetter,
    signed: Uint8Array,
    { toldBy = null, flagged = false, isAnsweredHere = false, offered }: RequestNews = {},
  ): void {
    if (this.#hosts.size === 0) return
    const { crypto, self } = this.#parts
    const version = itemVersion(crypto, letter.sentAt, requestContent(letter))
    const key = this.statements.keyOf(letter.room, letter.from)
    // Some host has answered it; of an agent that asked us, too, we know how to reach it. Workers of one representative are
    // the same host to agents: each may write to those that the others tell of.
    const knowsUs =
      toldBy === null ||
      this.standby.noteTold(key, version) ||
      equalBytes(letter.to, self.front.identity.publicKey)
    const before = this.statements.find(key)?.version === version ? this.statements.get(key) : null
    this.statements.put(letter.room, letter.from, {
      version,
      flagged,
      signed,
      receivedFrom: knowsUs ? null : toldBy,
      offered: offered ?? before?.offered ?? [],
    })
    this.#noteChange(key, toldBy, isAnsweredHere)
  }

  noteGoodbye(letter: LeaveLetter, signed: Uint8Array, toldBy: UserId | null): void {
    if (this.#hosts.size === 0) return
    this.#noteChange(this.statements.putLeave(letter.room, letter.from, letter.sentAt, signed), toldBy)
  }

  noteFlag(room: RoomTag, user: UserId, toldBy: UserId | null = null): void {
    if (this.#hosts.size === 0) return
    const key = this.statements.flag(room, user)
    if (key !== null) this.#noteChange(key, toldBy)
  }

  /** While we stand by, what agents tell us is told to the others by the host that answers. */
  #noteChange(key: string, toldBy: UserId | null, isAnsweredHere = false): void {
    if (toldBy === null && !isAnsweredHere && !this.standby.isAwake) return
    this.#exchange?.noteChange(this.#parts.clock.now(), key, toldBy && toHex(toldBy))
    this.#arm()
  }

  /** What was signed of the entries under these keys, and more. */
  #sendTable(
    host: InviteHost,
    keys: readonly string[],
    more: Partial<Pick<TableLetter, 'introduce' | 'revoked'>> = {},
  ): void {
    const now = this.#parts.clock.wallNow()
    const statements = keys.flatMap((key) => {
      const told = this.statements.get(key)
      if (told === null) return []
      const { signed, flagged } = told
      const ageMs = Math.min(limits.durationMs, Math.max(0, now - told.acceptedAt))
      if (ageMs >= lateMs) return [{ signed, flagged, ageMs }]
      return [{ signed, flagged, ageMs, offered: encodeItems(told.offered) }]
    })
    const head = letterHeadBetweenHosts(this.#parts, host.identity)
    this.#send(host, { ...head, kind: 'table', statements, introduce: [], ...more })
  }

  /** A table letter with nothing in it says only that its sender is awake. */
  #announce(to: HostId): void {
    const host = this.#hosts.get(to)
    if (host) this.#sendTable(host, [])
  }

  #perform(actions: readonly SyncAction[]): void {
    for (const action of actions) {
      const host = this.#hosts.get(action.to)
      if (!host) continue
      const head = letterHeadBetweenHosts(this.#parts, host.identity)
      if (action.type === 'compare') {
        this.#send(host, { ...head, kind: 'table-request', comparison: action.comparison })
      } else this.#sendTable(host, action.keys)
    }
    this.#arm()
  }

  /** Into the outbox, unless that is full: then the next comparison finds what is missing. */
  #send(host: InviteHost, letter: HostLetter): void {
    const { outbox, clock, budget } = this.#parts
    if (outbox.freeSlots(letter.kind) === 0 || budget.left('normal', clock.wallNow()) === 0) return
    const recipient = { returnAddress: host.address, sessionKey: host.sealingKey }
    outbox.add(freezeLetter(this.#parts, letter, recipient), clock.wallNow())
    this.#onMail()
  }

  #arm(): void {
    this.#cancelTimer()
    const due = this.#isRunning ? (this.#exchange?.nextTimeout() ?? null) : null
    if (due === null) return
    const { clock } = this.#parts
    this.#cancelTimer = clock.after(Math.max(1, due - clock.now()), () => {
      this.#guarded(() => this.#perform(this.#exchange?.handleTimeout(clock.now()) ?? []))
    })
  }

  #guarded(work: () => void): void {
    tryTransaction(this.#parts, work)
    this.#arm()
  }
}
