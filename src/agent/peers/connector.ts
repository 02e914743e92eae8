// All meetings of an agent: whom to try next, which packet belongs to whom, and what is told of it
// (A6, A8, A9).

import { equalBytes, viewOf } from '../../base/bytes.ts'
import type { Endpoint } from '../../base/endpoint.ts'
import { waitAtMost } from '../../base/wait.ts'
import type { OfferedPeer, UserId } from '../../letter/letter-types.ts'
import { signalTag } from '../../letter/seal-signal.ts'
import type { PacketConnection } from '../../net/tcp/packet-connection.ts'
import { plan } from '../../punch/punch-plan.ts'
import type { AgentEvent, PeerName } from '../events.ts'
import { EarlySignals } from '../letters/early-signals.ts'
import type { OwnSession } from '../letters/session-keys.ts'
import { ConnectionEvents } from './connection-events.ts'
import { ConnectionTable, type Entry, newEntry } from './connection-table.ts'
import type { ConnectorOptions } from './connector-types.ts'
import { nameOf, notNamed } from './describe.ts'
import type { QualityReport } from './link-quality.ts'
import { derivePairKeys, wipePairKeys } from './pair-keys.ts'
import { PeerConnection } from './peer-connection.ts'
import { PeerQueue } from './peer-queue.ts'
import { choosePeers, welcome } from './peer-ranking.ts'
import { WantedPeers } from './wanted-peers.ts'

/** First bytes of packets between agents (docs/protocol.md). */
const checkByte = 0xc1
const tagEnd = 9

export class Connector {
  readonly #options: ConnectorOptions
  readonly #book = new ConnectionTable()
  readonly #queue: PeerQueue
  readonly #earlySignals = new EarlySignals()
  /** Tried as soon as a reply names them, beyond `links` too. */
  readonly #wantedPeers = new WantedPeers()
  readonly #connectionEvents: ConnectionEvents
  #toldWaiting = false
  #awaitsReply = false
  #stopped = false
  #onEmpty: () => void = () => {}

  constructor(options: ConnectorOptions) {
    this.#options = options
    this.#queue = new PeerQueue(options.attemptMs / 2)
    this.#connectionEvents = new ConnectionEvents({
      ...options,
      book: this.#book,
      queue: this.#queue,
      onEvent: (event) => this.#tell(event),
      onRemoved: () => {
        if (this.#book.isEmpty) this.#onEmpty()
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
      if (this.#wantedPeers.take(peer.id)) this.#meet(peer, session, true)
    }
    for (const peer of this.#wantedPeers.takeUnnamed(session.requestedAt)) {
      this.#tell({ event: 'failed', peer, ...notNamed })
    }
    this.#queue.offer(chosen, session, clock.now())
    this.#tryNext()
  }

  /** Whoever is linked or being tried already is left as they are. True when the host has to be asked first. */
  seek(id: UserId, peer: PeerName): boolean {
    const isMet = ({ peerConnection }: Entry) =>
      equalBytes(peerConnection.peer.id, id) && !peerConnection.isClosing
    if (this.#stopped || this.#book.entries.some(isMet)) return false
    this.#wantedPeers.add(id, peer, this.#options.clock.now())
    return true
  }

  /** Ends the link, or the attempt, and tries no more until the peer is offered again. */
  end(id: UserId): void {
    this.#wantedPeers.take(id)
    this.#queue.withdraw(id)
    for (const { peerConnection } of this.#book.entries)
      if (equalBytes(peerConnection.peer.id, id)) peerConnection.close()
  }

  /** Our network may have changed, or we have slept: every link asks its peer at once. */
  recheckLinks(): void {
    for (const { peerConnection } of this.#book.entries) peerConnection.recheck()
  }

  /** Where we may be reached has changed: linked peers hear it over their links. */
  tellCandidates(): void {
    for (const { peerConnection } of this.#book.entries) peerConnection.tellCandidates()
  }

  /** Of the link that datagrams to this user go over; null when there is none. */
  qualityWith(id: UserId): QualityReport | null {
    return this.#book.linkWith(id)?.peerConnection.quality ?? null
  }

  /** Peers that were told of us: they are punching now, so do we. */
  introduced(peers: readonly OfferedPeer[], session: OwnSession): void {
    if (this.#stopped) return
    const { identity, preferences } = this.#options
    for (const peer of peers) {
      if (!welcome(peer.id, identity.publicKey, preferences)) continue
      this.#tell({ event: 'introduced', peer: nameOf(peer) })
      this.#queue.withdraw(peer.id)
      this.#meet(peer, session, false)
    }
    this.#tryNext()
  }

  /** The peer says something by mail, perhaps before the letter that introduces it. */
  signalled(box: Uint8Array): void {
    const tag = signalTag(box)
    if (this.#stopped || !tag) return
    const entry = this.#book.find(viewOf(tag).getBigUint64(0))
    if (entry) entry.peerConnection.receiveSignal(box)
    else this.#earlySignals.put(box, this.#options.clock.now())
  }

  receive(bytes: Uint8Array, from: Endpoint): void {
    if (bytes.length < tagEnd) return
    const entry = this.#book.find(viewOf(bytes).getBigUint64(1))
    if (!entry) return
    if (bytes[0] === checkByte) entry.peerConnection.receiveCheck(bytes, from)
    else entry.peerConnection.receiveLinkPacket(bytes, from)
  }

  /** Somebody calls by TCP. Whether it is a peer; then the connection is its meeting's. */
  call(connection: PacketConnection, packet: Uint8Array): boolean {
    if (this.#stopped || packet[0] !== checkByte || packet.length < tagEnd) return false
    const entry = this.#book.find(viewOf(packet).getBigUint64(1))
    return entry?.peerConnection.acceptConnection(connection, packet) ?? false
  }

  /** Says goodbye on every link; resolves when all are closed or `graceMs` is over. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true
    this.#queue.clear()
    for (const entry of this.#book.entries) {
      entry.cancelClose()
      entry.peerConnection.close()
    }
    if (this.#book.isEmpty) return
    const { promise: empty, resolve } = Promise.withResolvers<void>()
    this.#onEmpty = resolve
    await waitAtMost(this.#options.clock, graceMs, empty)
    for (const entry of this.#book.entries) {
      entry.peerConnection.abandon()
      this.#book.remove(entry)
    }
  }

  #tryNext(): void {
    const { clock, links, sessions, onAskAgain } = this.#options
    while (!this.#stopped && this.#book.countUsers() < links) {
      const turn = this.#queue.next(clock.now(), (session) => sessions.has(session))
      if (turn.turn === 'try') {
        this.#meet(turn.candidacy.peer, turn.candidacy.session, true)
        continue
      }
      if (turn.turn === 'ask-again') {
        this.#awaitsReply = true
        onAskAgain()
      }
      break
    }
    if (this.#stopped || this.#awaitsReply || this.#toldWaiting || !this.#book.isEmpty) return
    this.#tell({ event: 'waiting' })
    this.#toldWaiting = true
  }

  #meet(peer: OfferedPeer, session: OwnSession, asked: boolean): void {
    const { clock, crypto, identity, room, network, attemptMs, onFailure, onSignal } = this.#options
    const { bubbleTtl, keepaliveMs, mailMs } = this.#options
    if (this.#book.isFull) return
    const keys = derivePairKeys(crypto, session.keyPair, peer.session.publicKey, room.linkSecret)
    if (!keys) return
    const tag = viewOf(keys.tag).getBigUint64(0)
    if (this.#book.knows(tag)) {
      wipePairKeys(crypto, keys)
      return
    }
    const decided = plan(network, peer)
    if (decided.strategy === 'none') {
      wipePairKeys(crypto, keys)
      this.#book.noteOver(tag)
      this.#queue.noteFailure(peer)
      this.#tell({ event: 'failed', peer: nameOf(peer), reason: decided.reason, advice: decided.advice })
      if (asked) onFailure(peer, 'no-way')
      return
    }
    this.#tell({ event: 'punching', peer: nameOf(peer), plan: decided.strategy })
    // Not worked out anew for each datagram.
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
      onEvent: (event) => {
        if (event.type === 'datagram') this.#options.onDatagram(name, event.bytes)
        else this.#connectionEvents.handle(tag, event)
      },
    })
    this.#book.add(newEntry({ tag, peerConnection, session, asked, strategy: decided.strategy }))
    for (const box of this.#earlySignals.take(keys.tag, clock.now())) peerConnection.receiveSignal(box)
  }

  #tell(event: AgentEvent): void {
    // An introduction alone changes nothing about our waiting.
    if (event.event !== 'introduced') this.#toldWaiting = false
    this.#options.onEvent(event)
  }
}
