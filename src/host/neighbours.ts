// The hosts that this one knows by their keys (mission A13): what they tell is taken, what changes here is told to them,
// and what only they can pass on to an agent goes by them.

import { equalBytes, toHex } from '../base/bytes.ts'
import { defaultExchangeSettings, Exchange, type ExchangeAction, type HostId } from '../exchange/exchange.ts'
import { itemVersion, signedAt } from '../exchange/item.ts'
import { requestContent } from '../letter/encoding.ts'
import type { InviteHost } from '../letter/invite.ts'
import type {
  IntroductionWish,
  LeaveLetter,
  RequestLetter,
  RoomTag,
  SignalLetter,
  TableLetter,
  UserId,
} from '../letter/kinds.ts'
import { limits } from '../letter/limits.ts'
import { Statements } from '../table/statements.ts'
import { type BetweenHosts, repeats } from './between-hosts.ts'
import type { DropReason } from './events.ts'
import { type HostGround, tryTransaction } from './parts.ts'
import { Revoking } from './revoking.ts'
import { type HeldRequest, Standby } from './standby.ts'
import { takeStatement } from './statement-taking.ts'
import { relaySignal } from './taking.ts'
import { Wishes } from './wishes.ts'
import { freezeLetter, type HostLetter, letterHeadBetweenHosts } from './writer.ts'

export type NeighbourNotices = {
  /** There is a mail in the outbox. */
  readonly onMail: () => void
  /** No other host answered these: inside a transaction. */
  readonly onAnswer: (held: readonly HeldRequest[]) => void
}

export class Neighbours {
  readonly standby: Standby
  readonly #parts: HostGround
  readonly #hosts: ReadonlyMap<HostId, InviteHost>
  readonly statements: Statements
  readonly #onMail: () => void
  #exchange: Exchange | null = null
  readonly #wishes: Wishes
  readonly #revoking: Revoking
  #cancelTimer: () => void = () => {}
  #isRunning = false

  constructor(parts: HostGround, hosts: readonly InviteHost[], { onMail, onAnswer }: NeighbourNotices) {
    this.#parts = parts
    this.#hosts = new Map(hosts.map((host) => [toHex(host.identity), host]))
    this.statements = new Statements(parts.database, parts.crypto, parts.settings)
    this.#onMail = onMail
    this.#wishes = new Wishes({
      clock: parts.clock,
      gatherMs: parts.settings.introductionWindowMs,
      send: (to, wishes) => this.#sendWishes(to, wishes),
      guarded: (work) => this.#guarded(work),
    })
    this.#revoking = new Revoking(parts, (revoked) => {
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
    this.#wishes.start()
    this.#revoking.start()
    this.#exchange = new Exchange({
      hosts: [...this.#hosts.keys()],
      table: this.statements,
      random: () => (crypto.randomBytes(1)[0] as number) / 256,
      settings: defaultExchangeSettings,
      now: clock.now(),
    })
    this.#arm()
  }

  stop(): void {
    this.standby.stop()
    this.#isRunning = false
    this.#cancelTimer()
    this.#wishes.stop()
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
        for (const wish of letter.introduce) this.#introduceFor(wish, from, now)
        return null
      case 'signal':
        return this.#takeSignal(letter, from, now)
      default:
        return 'unexpected-kind'
    }
  }

  /** Whether another host told of this very request before its agent's letter came. */
  isTold({ room, from, sentAt }: RequestLetter): boolean {
    const known = this.statements.find(this.statements.keyOf(room, from))
    return known !== null && this.statements.toldBy(room, from) !== null && signedAt(known) >= sentAt
  }

  /** The request is left to another host for now. It is told to nobody before it is answered: hosts that both stand by would
   *  take each other for the one that answers. */
  hold(held: HeldRequest): void {
    const { letter } = held
    const version = itemVersion(this.#parts.crypto, letter.sentAt, requestContent(letter))
    this.standby.hold(this.statements.keyOf(letter.room, letter.from), version, held)
  }

  /** A request was taken into the table. `toldBy`: the host that passed it on; left out when its agent sent it. */
  noteRequest(
    letter: RequestLetter,
    signed: Uint8Array,
    toldBy: UserId | null = null,
    flagged = false,
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
    const told = { version, flagged, signed, toldBy: knowsUs ? null : toldBy }
    this.statements.put(letter.room, letter.from, told)
    this.#noteChange(key, toldBy)
  }

  noteGoodbye(letter: LeaveLetter, signed: Uint8Array, toldBy: UserId | null): void {
    if (this.#hosts.size === 0) return
    this.#noteChange(this.statements.putGoodbye(letter.room, letter.from, letter.sentAt, signed), toldBy)
  }

  noteFlag(room: RoomTag, user: UserId, toldBy: UserId | null = null): void {
    if (this.#hosts.size === 0) return
    const key = this.statements.flag(room, user)
    if (key !== null) this.#noteChange(key, toldBy)
  }

  /** Those of `offered` who know us; the others' hosts are asked to introduce the asker to them. */
  introduce(room: RoomTag, offered: readonly UserId[], asker: UserId): readonly UserId[] {
    if (this.#hosts.size === 0) return offered
    return offered.filter((recipient) => {
      const host = this.#hostOf(room, recipient)
      if (host) this.#wishes.add(toHex(host.identity), { room, asker, recipient, hopsLeft: limits.hostHops })
      return host === null
    })
  }

  /** Whether this agent knows us, so that it takes our letters. */
  isKnownTo(room: RoomTag, user: UserId): boolean {
    return this.#hostOf(room, user) === null
  }

  /** True when another host relays this agent's signal, because its recipient does not know us. */
  passOn({ room, peer, from, box }: SignalLetter): boolean {
    const host = this.#hostOf(room, peer)
    if (host) this.#sendSignal(host, { room, peer, box, relay: { origin: from, hopsLeft: limits.hostHops } })
    return host !== null
  }

  #takeSignal(letter: SignalLetter, from: HostId, now: number): DropReason | null {
    const { room, peer, box, relay } = letter
    const recipient = this.#parts.peers.find(room, peer, now)
    if (!relay || recipient === null || equalBytes(relay.origin, peer)) return 'unknown-peer'
    const host = this.#hostOf(room, peer)
    if (host === null) return relaySignal(this.#parts, recipient, letter, relay.origin, now)
    if (relay.hopsLeft === 0 || toHex(host.identity) === from) return 'unknown-peer'
    this.#sendSignal(host, { room, peer, box, relay: { ...relay, hopsLeft: relay.hopsLeft - 1 } })
    return null
  }

  #introduceFor(wish: IntroductionWish, from: HostId, now: number): void {
    const { peers, introductions } = this.#parts
    const { room, asker, recipient, hopsLeft } = wish
    if (peers.find(room, recipient, now) === null || equalBytes(asker, recipient)) return
    const host = this.#hostOf(room, recipient)
    if (host === null) introductions.note(room, [recipient], asker, now)
    else if (hopsLeft > 0 && toHex(host.identity) !== from)
      this.#wishes.add(toHex(host.identity), { ...wish, hopsLeft: hopsLeft - 1 })
  }

  /** The host that knows how to reach this agent; null when the agent knows us. */
  #hostOf(room: RoomTag, user: UserId): InviteHost | null {
    const host = this.#hosts.size > 0 ? this.statements.toldBy(room, user) : null
    return (host && this.#hosts.get(toHex(host))) ?? null
  }

  /** While we stand by, what agents tell us is told to the others by the host that answers. */
  #noteChange(key: string, toldBy: UserId | null): void {
    if (toldBy === null && !this.standby.isAwake) return
    this.#exchange?.noteChange(this.#parts.clock.now(), key, toldBy && toHex(toldBy))
    this.#arm()
  }

  /** With what their askers signed, in case the other host has not heard it. */
  #sendWishes(to: HostId, introduce: readonly IntroductionWish[]): void {
    const host = this.#hosts.get(to)
    if (!host) return
    const askers = new Set(introduce.map(({ room, asker }) => this.statements.keyOf(room, asker)))
    this.#sendTable(host, [...askers], { introduce })
  }

  /** What was signed of the entries under these keys, and more. */
  #sendTable(
    host: InviteHost,
    keys: readonly string[],
    more: Partial<Pick<TableLetter, 'introduce' | 'revoked'>> = {},
  ): void {
    const now = this.#parts.clock.wallNow()
    const statements = keys.flatMap((key) => {
      const told = this.statements.told(key)
      if (told === null) return []
      const ageMs = Math.min(limits.durationMs, Math.max(0, now - told.acceptedAt))
      return [{ signed: told.signed, flagged: told.flagged, ageMs }]
    })
    const head = letterHeadBetweenHosts(this.#parts, host.identity)
    this.#send(host, { ...head, kind: 'table', statements, introduce: [], ...more })
  }

  /** A table letter with nothing in it says only that its sender is awake. */
  #announce(to: HostId): void {
    const host = this.#hosts.get(to)
    if (host) this.#sendTable(host, [])
  }

  #sendSignal(host: InviteHost, signal: Pick<SignalLetter, 'room' | 'peer' | 'box' | 'relay'>): void {
    this.#send(host, { ...letterHeadBetweenHosts(this.#parts, host.identity), kind: 'signal', ...signal })
  }

  #perform(actions: readonly ExchangeAction[]): void {
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
    if (outbox.room(letter.kind) === 0 || budget.left('patient', clock.wallNow()) === 0) return
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
