// All connections of an agent with peers. Decides which peer to try next, and gives each packet to its connection
// (A6, A8, A9).

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
import { type ConnectionEntry, ConnectionTable, newEntry } from './connection-table.ts'
import { notOffered } from './failure-text.ts'
import type { QualityReport } from './link-quality.ts'
import { derivePairKeys, wipePairKeys } from './pair-keys.ts'
import { PeerConnection, type PeerConnectionNetwork } from './peer-connection.ts'
import { PeerQueue } from './peer-queue.ts'
import { choosePeers, isAllowed, type PeerPreferences } from './peer-ranking.ts'
import { WantedPeers } from './wanted-peers.ts'

type ConnectorOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly room: RoomKeys
  readonly sessions: SessionKeys
  readonly preferences: PeerPreferences
  /** The wanted number of links. Peers from a reply are tried only up to it. */
  readonly links: number
  readonly attemptMs: number
  readonly bubbleTtl?: number
  /** The longest interval between pings of a link. */
  readonly keepaliveMs?: number
  readonly network: PeerConnectionNetwork
  /** How long a letter took last time, null if unknown. */
  readonly mailMs: () => number | null
  /** A sealed signal for the peer. It has to go by mail. */
  readonly onSignal: (peer: OfferedPeer, box: Uint8Array) => void
  readonly onEvent: (event: AgentEvent) => void
  /** A peer from a reply could not be reached. */
  readonly onFailure: (peer: OfferedPeer, reason: FailureReason) => void
  /** A new request is worth its mail: a link was lost, or the peers left to try were introduced too long ago. */
  readonly onRequestNeeded: () => void
  readonly onAttach: (peer: PeerName, link: PeerLink) => void
  readonly onDetach: (peer: PeerName) => void
  readonly onDatagram: (peer: PeerName, bytes: Uint8Array) => void
}

/** The first byte of a check packet (docs/protocol.md). */
const checkByte = 0xc1
const tagEnd = 9

export class Connector {
  readonly #options: ConnectorOptions
  readonly #table = new ConnectionTable()
  readonly #queue: PeerQueue
  readonly #earlyPunchSignals = new EarlyPunchSignals()
  /** Tried as soon as a reply contains them, even beyond `links`. */
  readonly #wantedPeers = new WantedPeers()
  readonly #connectionEvents: ConnectionEvents
  #hasEmittedWaiting = false
  #awaitsReply = false
  #stopped = false
  #onEmpty: () => void = () => {}

  constructor(options: ConnectorOptions) {
    const { clock, identity, network, onEvent, onFailure, onRequestNeeded, onAttach, onDetach } = options
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
      onRequestNeeded,
      onAttach,
      onDetach,
      onRemoved: () => {
        if (this.#table.isEmpty) this.#onEmpty()
      },
      onConnectionEnded: () => this.#tryNext(),
    })
  }

  /** Peers from a reply. They are tried in order of preference while more links are wanted. */
  handleReply(peers: readonly OfferedPeer[], session: OwnSession): void {
    if (this.#stopped) return
    const { identity, preferences, clock } = this.#options
    this.#awaitsReply = false
    const chosen = choosePeers(peers, identity.publicKey, preferences)
    for (const peer of chosen) {
      if (this.#wantedPeers.take(peer.id)) this.#startConnection(peer, session, true)
    }
    for (const peer of this.#wantedPeers.takeNotOffered(session.requestedAt)) {
      this.#emit({ event: 'failed', peer, ...notOffered })
    }
    this.#queue.offer(chosen, session, clock.now())
    this.#tryNext()
  }

  /** Returns true when a request is needed first. Returns false for a peer that is linked or being tried already. */
  connect(id: UserId, peer: PeerName): boolean {
    const isActive = ({ peerConnection }: ConnectionEntry) =>
      equalBytes(peerConnection.peer.id, id) && !peerConnection.isClosing
    if (this.#stopped || this.#table.entries.some(isActive)) return false
    this.#wantedPeers.add(id, peer, this.#options.clock.now())
    return true
  }

  /** Ends the link or the attempt. The peer is not tried until it is offered again. */
  disconnect(id: UserId): void {
    this.#wantedPeers.take(id)
    this.#queue.withdraw(id)
    for (const { peerConnection } of this.#table.entries)
      if (equalBytes(peerConnection.peer.id, id)) peerConnection.close()
  }

  /** Call it when our network may have changed or the computer has slept. Every link pings its peer at once. */
  recheckLinks(): void {
    for (const { peerConnection } of this.#table.entries) peerConnection.recheck()
  }

  /** Announces our changed candidates to linked peers over their links. */
  announceCandidates(): void {
    for (const { peerConnection } of this.#table.entries) peerConnection.announceCandidates()
  }

  /** The quality of the link that carries datagrams to this user. Null when there is none. */
  qualityWith(id: UserId): QualityReport | null {
    return this.#table.linkWith(id)?.peerConnection.quality ?? null
  }

  /** Peers that a host offered us to. They punch now, so we punch too. */
  handleIntroduction(peers: readonly OfferedPeer[], session: OwnSession): void {
    if (this.#stopped) return
    const { identity, preferences } = this.#options
    for (const peer of peers) {
      if (!isAllowed(peer.id, identity.publicKey, preferences)) continue
      this.#options.onEvent({ event: 'introduced', peer: nameOf(peer) })
      this.#queue.withdraw(peer.id)
      this.#startConnection(peer, session, false)
    }
    this.#tryNext()
  }

  /** A signal of a peer came by mail, perhaps before the letter that introduces the peer. */
  handleSignal(box: Uint8Array): void {
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

  /** Takes a TCP connection that came in. Returns false when it is not from a peer; the caller then keeps it. */
  acceptConnection(connection: PacketConnection, packet: Uint8Array): boolean {
    if (this.#stopped || packet[0] !== checkByte || packet.length < tagEnd) return false
    const entry = this.#table.find(viewOf(packet).getBigUint64(1))
    return entry?.peerConnection.acceptConnection(connection, packet) ?? false
  }

  /** Says goodbye on every link. Resolves when all are closed, or after `graceMs`. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true
    this.#queue.clear()
    for (const entry of this.#table.entries) {
      entry.cancelClose()
      entry.peerConnection.close()
    }
    if (this.#table.isEmpty) return
    const { promise: allClosed, resolve } = Promise.withResolvers<void>()
    this.#onEmpty = resolve
    await waitAtMost(this.#options.clock, graceMs, allClosed)
    for (const entry of this.#table.entries) {
      entry.peerConnection.abandon()
      this.#table.remove(entry)
    }
  }

  #tryNext(): void {
    const { clock, links, sessions, onRequestNeeded } = this.#options
    while (!this.#stopped && this.#table.countUsers() < links) {
      const next = this.#queue.next(clock.now(), (session) => sessions.has(session))
      if (next.next === 'try') {
        this.#startConnection(next.waiting.peer, next.waiting.session, true)
        continue
      }
      if (next.next === 'request-again') {
        this.#awaitsReply = true
        onRequestNeeded()
      }
      break
    }
    if (this.#stopped || this.#awaitsReply || this.#hasEmittedWaiting || !this.#table.isEmpty) return
    this.#options.onEvent({ event: 'waiting' })
    this.#hasEmittedWaiting = true
  }

  #startConnection(peer: OfferedPeer, session: OwnSession, isFromReply: boolean): void {
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
    const decision = plan(network, peer)
    if (decision.strategy === 'none') {
      wipePairKeys(crypto, keys)
      this.#table.noteEnded(tag)
      this.#queue.noteFailure(peer)
      this.#emit({ event: 'failed', peer: nameOf(peer), reason: decision.reason, advice: decision.advice })
      if (isFromReply) onFailure(peer, 'no-way')
      return
    }
    this.#emit({ event: 'punching', peer: nameOf(peer), plan: decision.strategy })
    const name = nameOf(peer)
    const peerConnection = new PeerConnection({
      clock,
      crypto,
      identity,
      sessionKey: session.publicKey,
      peer,
      keys,
      plan: decision,
      attemptMs,
      ...(bubbleTtl !== undefined && { bubbleTtl }),
      ...(keepaliveMs !== undefined && { keepaliveMs }),
      mailMs: mailMs(),
      network,
      onSignal: (box) => onSignal(peer, box),
      onDatagram: (bytes) => onDatagram(name, bytes),
      onEvent: (event) => this.#connectionEvents.handle(tag, event),
    })
    this.#table.add(newEntry({ tag, peerConnection, session, isFromReply, strategy: decision.strategy }))
    for (const box of this.#earlyPunchSignals.take(keys.tag, clock.now())) peerConnection.receiveSignal(box)
  }

  /** Ends the `waiting` state. Only the first events of a connection need this: `waiting` means there is none. */
  #emit(event: AgentEvent & { readonly event: 'punching' | 'failed' }): void {
    this.#hasEmittedWaiting = false
    this.#options.onEvent(event)
  }
}
