// All connections of an agent with peers: whom to try next, and which packet belongs to whom (A6, A8, A9).

import { equalBytes, viewOf } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'
import type { Endpoint } from '../../base/endpoint.ts'
import { waitAtMost } from '../../base/grace-time.ts'
import type { PeerLink } from '../../forward/forwarder.ts'
import type { FailureReason, OfferedPeer, UserId } from '../../letter/letter-types.ts'
import type { RoomKeys } from '../../letter/room-membership.ts'
import { signalTag } from '../../letter/seal-signal.ts'
import type { PacketConnection } from '../../net/tcp/packet-connection.ts'
import { plan } from '../../punch/punch-plan.ts'
import { type AgentEvent, nameOf, type PeerName } from '../events.ts'
import { EarlyPunchSignals } from '../letters/early-punch-signals.ts'
import type { OwnSession, SessionKeys } from '../letters/session-keys.ts'
import { ConnectionEvents } from './connection-events.ts'
import { ConnectionTable, type Entry, newEntry } from './connection-table.ts'
import { notNamed } from './failure-text.ts'
import type { QualityReport } from './link-quality.ts'
import { derivePairKeys, wipePairKeys } from './pair-keys.ts'
import { PeerConnection, type PeerConnectionNetwork } from './peer-connection.ts'
import { PeerQueue } from './peer-queue.ts'
import { choosePeers, type PeerPreferences, welcome } from './peer-ranking.ts'
import { WantedPeers } from './wanted-peers.ts'

type ConnectorOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly room: RoomKeys
  readonly sessions: SessionKeys
  readonly preferences: PeerPreferences
  /** Links wanted; no peer of a reply is tried beyond them. */
  readonly links: number
  readonly attemptMs: number
  readonly bubbleTtl?: number
  /** A link pings at least so often. */
  readonly keepaliveMs?: number
  readonly network: PeerConnectionNetwork
  /** How long a letter takes, as far as we have seen. */
  readonly mailMs: () => number | null
  /** To be passed on by mail, unread. */
  readonly onSignal: (peer: OfferedPeer, box: Uint8Array) => void
  readonly onEvent: (event: AgentEvent) => void
  /** A peer that a reply offered could not be reached. */
  readonly onFailure: (peer: OfferedPeer, reason: FailureReason) => void
  /** A new request is worth its mail: a link broke down, or peers left to try were introduced to us too long ago. */
  readonly onAskAgain: () => void
  readonly onAttach: (peer: PeerName, link: PeerLink) => void
  readonly onDetach: (peer: PeerName) => void
  readonly onDatagram: (peer: PeerName, bytes: Uint8Array) => void
}

/** First bytes of packets between agents (docs/protocol.md). */
const checkByte = 0xc1
const tagEnd = 9

export class Connector {
  readonly #options: ConnectorOptions
  readonly #table = new ConnectionTable()
  readonly #queue: PeerQueue
  readonly #earlyPunchSignals = new EarlyPunchSignals()
  /** Tried as soon as a reply names them, beyond `links` too. */
  readonly #wantedPeers = new WantedPeers()
  readonly #connectionEvents: ConnectionEvents
  #hasEmittedWaiting = false
  #awaitsReply = false
  #stopped = false
  #onEmpty: () => void = () => {}

  constructor(options: ConnectorOptions) {
    const { clock, identity, network, onEvent, onFailure, onAskAgain, onAttach, onDetach } = options
    this.#options = options
    this.#queue = new PeerQueue(options.attemptMs / 2)
    this.#connectionEvents = new ConnectionEvents({
      clock,
      ownId: identity.publicKey,
      network,
      table: this.#table,
      queue: this.#queue,
      onEvent,
      onFailure,
      onAskAgain,
      onAttach,
      onDetach,
      onRemoved: () => {
        if (this.#table.isEmpty) this.#onEmpty()
      },
      onFree: () => this.#tryNext(),
    })
  }

  /** Peers of a reply: tried in order of preference while links are wanted. */
  offered(peers: readonly OfferedPeer[], session: OwnSession): void {
    if (this.#stopped) return
    const { identity, preferences, clock } = this.#options
    this.#awaitsReply = false
    const chosen = choosePeers(peers, identity.publicKey, preferences)
    for (const peer of chosen) {
      if (this.#wantedPeers.take(peer.id)) this.#connect(peer, session, true)
    }
    for (const peer of this.#wantedPeers.takeUnnamed(session.requestedAt)) {
      this.#emit({ event: 'failed', peer, ...notNamed })
    }
    this.#queue.offer(chosen, session, clock.now())
    this.#tryNext()
  }

  /** Whoever is linked or being tried already is left as they are. True when the host has to be asked first. */
  want(id: UserId, peer: PeerName): boolean {
    const isConnected = ({ peerConnection }: Entry) =>
      equalBytes(peerConnection.peer.id, id) && !peerConnection.isClosing
    if (this.#stopped || this.#table.entries.some(isConnected)) return false
    this.#wantedPeers.add(id, peer, this.#options.clock.now())
    return true
  }

  /** Ends the link, or the attempt, and tries no more until the peer is offered again. */
  end(id: UserId): void {
    this.#wantedPeers.take(id)
    this.#queue.withdraw(id)
    for (const { peerConnection } of this.#table.entries)
      if (equalBytes(peerConnection.peer.id, id)) peerConnection.close()
  }

  /** Our network may have changed, or we have slept: every link asks its peer at once. */
  recheckLinks(): void {
    for (const { peerConnection } of this.#table.entries) peerConnection.recheck()
  }

  /** Where we may be reached has changed: linked peers hear it over their links. */
  announceCandidates(): void {
    for (const { peerConnection } of this.#table.entries) peerConnection.announceCandidates()
  }

  /** Of the link that datagrams to this user go over; null when there is none. */
  qualityWith(id: UserId): QualityReport | null {
    return this.#table.linkWith(id)?.peerConnection.quality ?? null
  }

  /** Peers that asked for us: they are punching now, so do we. */
  introduced(peers: readonly OfferedPeer[], session: OwnSession): void {
    if (this.#stopped) return
    const { identity, preferences } = this.#options
    for (const peer of peers) {
      if (!welcome(peer.id, identity.publicKey, preferences)) continue
      this.#options.onEvent({ event: 'introduced', peer: nameOf(peer) })
      this.#queue.withdraw(peer.id)
      this.#connect(peer, session, false)
    }
    this.#tryNext()
  }

  /** The peer says something by mail, perhaps before the letter that introduces it. */
  signalled(box: Uint8Array): void {
    const tag = signalTag(box)
    if (this.#stopped || !tag) return
    const entry = this.#table.find(viewOf(tag).getBigUint64(0))
    if (entry) entry.peerConnection.receiveSignal(box)
    else this.#earlyPunchSignals.put(box, this.#options.clock.now())
  }

  receive(bytes: Uint8Array, from: Endpoint): void {
    if (bytes.length < tagEnd) return
    const entry = this.#table.find(viewOf(bytes).getBigUint64(1))
    if (!entry) return
    if (bytes[0] === checkByte) entry.peerConnection.receiveCheck(bytes, from)
    else entry.peerConnection.receiveLinkPacket(bytes, from)
  }

  /** Somebody calls by TCP. Whether it is a peer; then the TCP connection belongs to it. */
  call(connection: PacketConnection, packet: Uint8Array): boolean {
    if (this.#stopped || packet[0] !== checkByte || packet.length < tagEnd) return false
    const entry = this.#table.find(viewOf(packet).getBigUint64(1))
    return entry?.peerConnection.acceptConnection(connection, packet) ?? false
  }

  /** Says goodbye on every link; resolves when all are closed or `graceMs` is over. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true
    this.#queue.clear()
    for (const entry of this.#table.entries) {
      entry.cancelClose()
      entry.peerConnection.close()
    }
    if (this.#table.isEmpty) return
    const allClosed = new Promise<void>((resolve) => {
      this.#onEmpty = resolve
    })
    await waitAtMost(this.#options.clock, graceMs, allClosed)
    for (const entry of this.#table.entries) {
      entry.peerConnection.abandon()
      this.#table.remove(entry)
    }
  }

  #tryNext(): void {
    const { clock, links, sessions, onAskAgain } = this.#options
    while (!this.#stopped && this.#table.countUsers() < links) {
      const next = this.#queue.next(clock.now(), (session) => sessions.has(session))
      if (next.next === 'try') {
        this.#connect(next.candidacy.peer, next.candidacy.session, true)
        continue
      }
      if (next.next === 'ask-again') {
        this.#awaitsReply = true
        onAskAgain()
      }
      break
    }
    if (this.#stopped || this.#awaitsReply || this.#hasEmittedWaiting || !this.#table.isEmpty) return
    this.#options.onEvent({ event: 'waiting' })
    this.#hasEmittedWaiting = true
  }

  #connect(peer: OfferedPeer, session: OwnSession, asked: boolean): void {
    const { clock, crypto, identity, room, network, attemptMs, bubbleTtl, keepaliveMs, mailMs } =
      this.#options
    const { onFailure, onSignal, onDatagram } = this.#options
    if (this.#table.isFull) return
    const keys = derivePairKeys(crypto, session.keyPair, peer.session.publicKey, room.linkSecret)
    if (!keys) return
    const tag = viewOf(keys.tag).getBigUint64(0)
    if (this.#table.knows(tag)) {
      wipePairKeys(crypto, keys)
      return
    }
    const decided = plan(network, peer)
    if (decided.strategy === 'none') {
      wipePairKeys(crypto, keys)
      this.#table.noteOver(tag)
      this.#queue.noteFailure(peer)
      this.#emit({ event: 'failed', peer: nameOf(peer), reason: decided.reason, advice: decided.advice })
      if (asked) onFailure(peer, 'no-way')
      return
    }
    this.#emit({ event: 'punching', peer: nameOf(peer), plan: decided.strategy })
    const name = nameOf(peer)
    const peerConnection = new PeerConnection({
      clock,
      crypto,
      identity,
      sessionKey: session.publicKey,
      peer,
      keys,
      plan: decided,
      attemptMs,
      ...(bubbleTtl !== undefined && { bubbleTtl }),
      ...(keepaliveMs !== undefined && { keepaliveMs }),
      mailMs: mailMs(),
      network,
      onSignal: (box) => onSignal(peer, box),
      onDatagram: (bytes) => onDatagram(name, bytes),
      onEvent: (event) => this.#connectionEvents.handle(tag, event),
    })
    this.#table.add(newEntry({ tag, peerConnection, session, asked, strategy: decided.strategy }))
    for (const box of this.#earlyPunchSignals.take(keys.tag, clock.now())) peerConnection.receiveSignal(box)
  }

  /** What happens to a connection later need not be noted: there is none while `waiting` holds. */
  #emit(event: AgentEvent & { readonly event: 'punching' | 'failed' }): void {
    this.#hasEmittedWaiting = false
    this.#options.onEvent(event)
  }
}
