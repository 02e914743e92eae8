// All meetings of an agent: whom to try next, which packet belongs to whom, and what is told of it
// (mission A6, A8, A9).

import { toHex, viewOf } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import type { FailureReason, OfferedPeer } from '../letter/kinds.ts'
import type { RoomKeys } from '../letter/room.ts'
import { userIdText } from '../letter/user-id.ts'
import { plan } from '../punch/plan.ts'
import type { Path } from '../punch/punch.ts'
import type { AgentEvent, PathReport, PeerName } from './events.ts'
import { Meeting, type MeetingEvent } from './meeting.ts'
import type { Network } from './network.ts'
import { derivePairKeys } from './pair-keys.ts'
import { choosePeers, type PeerPreferences, welcome } from './peer-choice.ts'
import type { OwnSession } from './sessions.ts'

export type MeetingsOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly room: RoomKeys
  readonly preferences: PeerPreferences
  /** Links wanted; no peer of a reply is tried beyond them. */
  readonly links: number
  readonly attemptMs: number
  readonly network: Network
  readonly onEvent: (event: AgentEvent) => void
  /** A peer that a reply offered could not be reached. */
  readonly onFailure: (peer: OfferedPeer, reason: FailureReason) => void
  /** The last link to a peer broke down without a goodbye. */
  readonly onLost: () => void
  readonly onAttach: (peer: PeerName, send: (bytes: Uint8Array) => void) => void
  readonly onDetach: (peer: PeerName) => void
  readonly onDatagram: (peer: PeerName, bytes: Uint8Array) => void
}

/** Meetings at once, those that others begin included; beyond it introductions are ignored. */
const mostMeetings = 128
/** Peers waiting for their turn; a reply brings at most 16. */
const mostWaiting = 64
/** First bytes of packets between agents (docs/protocol.md). */
const checkByte = 0xc1
const tagEnd = 9
/** A link that a newer one to the same peer replaces stays so long, for what is still under way on it. */
const replacedLinkMs = 1_000

type Entry = {
  readonly meeting: Meeting
  readonly session: OwnSession
  readonly asked: boolean
  readonly strategy: string
  /** Another link to the same peer took over: nothing more is told of this one. */
  replaced: boolean
}

export class Meetings {
  readonly #options: MeetingsOptions
  /** By tag of the pair of sessions. */
  readonly #entries = new Map<bigint, Entry>()
  #waiting: { readonly peer: OfferedPeer; readonly session: OwnSession }[] = []
  #stopped = false

  constructor(options: MeetingsOptions) {
    this.#options = options
  }

  /** Peers of a reply: tried in order of preference while links are wanted. */
  offered(peers: readonly OfferedPeer[], session: OwnSession): void {
    const { identity, preferences } = this.#options
    const chosen = choosePeers(peers, identity.publicKey, preferences).map((peer) => ({ peer, session }))
    const newer = new Set(chosen.map(({ peer }) => toHex(peer.id)))
    this.#waiting = [...chosen, ...this.#waiting.filter(({ peer }) => !newer.has(toHex(peer.id)))]
    this.#waiting.length = Math.min(this.#waiting.length, mostWaiting)
    this.#tryNext()
  }

  /** Peers that were told of us: they are punching now, so do we. */
  introduced(peers: readonly OfferedPeer[], session: OwnSession): void {
    const { identity, preferences, onEvent } = this.#options
    for (const peer of peers) {
      if (!welcome(peer.id, identity.publicKey, preferences)) continue
      onEvent({ event: 'introduced', peer: nameOf(peer) })
      this.#waiting = this.#waiting.filter((waiting) => toHex(waiting.peer.id) !== toHex(peer.id))
      this.#meet(peer, session, false)
    }
  }

  receive(bytes: Uint8Array, from: Endpoint): void {
    if (bytes.length < tagEnd) return
    const entry = this.#entries.get(viewOf(bytes).getBigUint64(1))
    if (!entry) return
    if (bytes[0] === checkByte) entry.meeting.receiveCheck(bytes, from)
    else entry.meeting.receiveLinkPacket(bytes, from)
  }

  /** Says goodbye on every link; resolves when all are closed or `graceMs` is over. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true
    this.#waiting = []
    const closing = [...this.#entries.values()]
    for (const { meeting } of closing) meeting.close()
    if (this.#entries.size === 0) return
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(graceMs, resolve)
      this.#onEmpty = () => {
        cancel()
        resolve()
      }
    })
  }

  #onEmpty: () => void = () => {}

  #tryNext(): void {
    while (!this.#stopped && this.#waiting.length > 0 && this.#busy() < this.#options.links) {
      const next = this.#waiting.shift()
      if (next) this.#meet(next.peer, next.session, true)
    }
    if (!this.#stopped && this.#entries.size === 0) this.#options.onEvent({ event: 'waiting' })
  }

  /** Peers linked or being tried, each counted once. */
  #busy(): number {
    const ids = new Set<string>()
    for (const { meeting } of this.#entries.values()) ids.add(toHex(meeting.peer.id))
    return ids.size
  }

  #meet(peer: OfferedPeer, session: OwnSession, asked: boolean): void {
    const { clock, crypto, identity, room, network, attemptMs, onEvent, onFailure } = this.#options
    if (this.#stopped || this.#entries.size >= mostMeetings) return
    const keys = derivePairKeys(crypto, session.keyPair, peer.session.publicKey, room.linkSecret)
    if (!keys) return
    const tag = viewOf(keys.tag).getBigUint64(0)
    if (this.#entries.has(tag)) return
    const mine = { nat: network.nat, candidates: network.candidates }
    const decided = plan(mine, peer)
    onEvent({ event: 'punching', peer: nameOf(peer), plan: decided.strategy })
    if (decided.strategy === 'none') {
      onEvent({ event: 'failed', peer: nameOf(peer), reason: decided.reason, advice: decided.advice })
      if (asked) onFailure(peer, 'no-way')
      return
    }
    const meeting = new Meeting({
      clock,
      crypto,
      identity,
      sessionKey: session.publicKey,
      peer,
      keys,
      plan: decided,
      attemptMs,
      onLoopback: network.onLoopback,
      send: (bytes, to) => network.send(bytes, to),
      onEvent: (event) => this.#handle(tag, event),
    })
    this.#entries.set(tag, { meeting, session, asked, strategy: decided.strategy, replaced: false })
  }

  #handle(tag: bigint, event: MeetingEvent): void {
    const entry = this.#entries.get(tag)
    if (!entry) return
    const { clock, network, onEvent, onDatagram } = this.#options
    const { meeting, session, strategy } = entry
    const peer = nameOf(meeting.peer)
    switch (event.type) {
      case 'open':
        this.#replaceOthers(tag, meeting.peer)
        this.#options.onAttach(peer, (bytes) => meeting.sendDatagram(bytes))
        onEvent({
          event: 'connected',
          peer,
          path: reportOf(event.path),
          plan: strategy,
          packets: event.packets,
          sinceRequestMs: Math.round(clock.now() - (session.requestedAt ?? clock.now())),
          sincePunchMs: Math.round(event.sincePunchMs),
        })
        return
      case 'path':
        if (!entry.replaced) onEvent({ event: 'path', peer, path: reportOf(event.path) })
        return
      case 'datagram':
        onDatagram(peer, event.bytes)
        return
      case 'failed':
        this.#remove(tag)
        if (!this.#linkedWith(meeting.peer) && !this.#stopped) this.#tellFailure(entry, event.reason, network)
        this.#tryNext()
        return
      case 'closed':
        this.#remove(tag)
        if (!entry.replaced && !this.#linkedWith(meeting.peer)) {
          this.#options.onDetach(peer)
          onEvent({ event: 'disconnected', peer, reason: event.reason })
          if (event.reason === 'lost') this.#options.onLost()
        }
        this.#tryNext()
        return
    }
  }

  #tellFailure({ meeting, asked }: Entry, reason: string, network: Network): void {
    const { onEvent, onFailure } = this.#options
    if (reason === 'stopped') return
    const peer = nameOf(meeting.peer)
    if (reason === 'no-handshake') {
      onEvent({
        event: 'failed',
        peer,
        reason: 'A path was found, but the peer did not prove who it is.',
        advice: 'Check that both use the same invite and that the clocks of both computers are right.',
      })
    } else {
      const unknown = network.nat.mapping === 'unknown' || meeting.peer.nat.mapping === 'unknown'
      onEvent({
        event: 'failed',
        peer,
        reason: 'The peer did not answer on any of its addresses.',
        advice: unknown
          ? 'It may be off line; or a NAT of unknown kind stands between: name two STUN servers on different networks.'
          : 'It may be off line, or a firewall keeps UDP out.',
      })
    }
    if (asked) onFailure(meeting.peer, reason === 'no-answer' ? 'no-answer' : 'refused')
  }

  /** Make before break: older links and attempts to the same peer give way to the link that just opened. */
  #replaceOthers(tag: bigint, peer: OfferedPeer): void {
    for (const [otherTag, other] of this.#entries) {
      if (otherTag === tag || toHex(other.meeting.peer.id) !== toHex(peer.id)) continue
      other.replaced = true
      if (other.meeting.state === 'open')
        this.#options.clock.after(replacedLinkMs, () => other.meeting.close())
      else other.meeting.close()
    }
  }

  #linkedWith(peer: OfferedPeer): boolean {
    for (const { meeting, replaced } of this.#entries.values()) {
      if (!replaced && meeting.state === 'open' && toHex(meeting.peer.id) === toHex(peer.id)) return true
    }
    return false
  }

  #remove(tag: bigint): void {
    this.#entries.delete(tag)
    if (this.#entries.size === 0) this.#onEmpty()
  }
}

function nameOf(peer: OfferedPeer): PeerName {
  return { id: userIdText(peer.id), name: peer.nickname }
}

function reportOf(path: Path): PathReport {
  return { kind: path.kind, local: formatEndpoint(path.local), remote: formatEndpoint(path.remote) }
}
