// All meetings of an agent: whom to try next, which packet belongs to whom, and what is told of it
// (mission A6, A8, A9).

import { equalBytes, toHex, viewOf } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { Endpoint } from '../base/endpoint.ts'
import type { PeerLink } from '../forward/forwarder.ts'
import type { FailureReason, OfferedPeer, UserId } from '../letter/kinds.ts'
import type { RoomKeys } from '../letter/room.ts'
import { signalTag } from '../letter/signal-box.ts'
import { plan } from '../punch/plan.ts'
import { Disturbances } from './disturbances.ts'
import type { AgentEvent, PeerName } from './events.ts'
import { Meeting, type MeetingEvent, type MeetingFailure } from './meeting.ts'
import { type Entry, MeetingBook, newEntry } from './meeting-book.ts'
import type { Network } from './network.ts'
import { derivePairKeys, wipePairKeys } from './pair-keys.ts'
import { choosePeers, type PeerPreferences, welcome } from './peer-choice.ts'
import type { QualityReport } from './quality.ts'
import { Queue } from './queue.ts'
import type { OwnSession, Sessions } from './sessions.ts'
import { SignalShelf } from './signal-shelf.ts'
import { supersedeOthers } from './superseding.ts'
import { failureOf, nameOf, notNamed, reportOf } from './telling.ts'

export type MeetingsOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly room: RoomKeys
  readonly sessions: Sessions
  readonly preferences: PeerPreferences
  /** Links wanted; no peer of a reply is tried beyond them. */
  readonly links: number
  readonly attemptMs: number
  readonly bubbleTtl?: number
  /** A link pings at least so often. */
  readonly keepaliveMs?: number
  readonly network: Pick<Network, 'nat' | 'candidates' | 'onLoopback' | 'servers' | 'sockets'>
  /** How long a letter takes, as far as we have seen. */
  readonly mailMs: () => number | null
  /** To be passed on by mail, unread. */
  readonly onSignal: (peer: OfferedPeer, box: Uint8Array) => void
  readonly onEvent: (event: AgentEvent) => void
  /** A peer that a reply offered could not be reached. */
  readonly onFailure: (peer: OfferedPeer, reason: FailureReason) => void
  /** A new request is worth its mail: a link broke down, or peers left to try were told of us too long ago. */
  readonly onAskAgain: () => void
  readonly onAttach: (peer: PeerName, link: PeerLink) => void
  readonly onDetach: (peer: PeerName) => void
  readonly onDatagram: (peer: PeerName, bytes: Uint8Array) => void
}

/** First bytes of packets between agents (docs/protocol.md). */
const checkByte = 0xc1
const tagEnd = 9
/** Peers sought at once, at most; beyond it the oldest is forgotten. */
const mostSought = 64

export class Meetings {
  readonly #options: MeetingsOptions
  readonly #book = new MeetingBook()
  readonly #queue: Queue
  readonly #shelf = new SignalShelf()
  readonly #disturbances: Disturbances
  /** Asked for by name, by user ID in hex: tried as soon as a reply names them, beyond `links` too. */
  readonly #sought = new Map<string, { readonly peer: PeerName; readonly since: number }>()
  #opened = 0
  #toldWaiting = false
  #awaitsReply = false
  #stopped = false
  #onEmpty: () => void = () => {}

  constructor(options: MeetingsOptions) {
    this.#options = options
    this.#queue = new Queue(options.attemptMs / 2)
    this.#disturbances = new Disturbances(options.clock, this.#book, () => options.onAskAgain())
  }

  /** Peers of a reply: tried in order of preference while links are wanted. */
  offered(peers: readonly OfferedPeer[], session: OwnSession): void {
    if (this.#stopped) return
    const { identity, preferences, clock } = this.#options
    this.#awaitsReply = false
    const chosen = choosePeers(peers, identity.publicKey, preferences)
    for (const peer of chosen) {
      if (this.#sought.delete(toHex(peer.id))) this.#meet(peer, session, true)
    }
    for (const [id, { peer, since }] of this.#sought) {
      // The answer to an earlier request says nothing about it.
      if (session.requestedAt < since) continue
      this.#sought.delete(id)
      this.#tell({ event: 'failed', peer, ...notNamed })
    }
    this.#queue.offer(chosen, session, clock.now())
    this.#tryNext()
  }

  /** Whoever is linked or being tried already is left as they are. True when the host has to be asked first. */
  seek(id: UserId, peer: PeerName): boolean {
    const isMet = ({ meeting }: Entry) => equalBytes(meeting.peer.id, id) && !meeting.isClosing
    if (this.#stopped || this.#book.entries.some(isMet)) return false
    const [oldest] = this.#sought.keys()
    if (oldest !== undefined && this.#sought.size >= mostSought) this.#sought.delete(oldest)
    this.#sought.set(toHex(id), { peer, since: this.#options.clock.now() })
    return true
  }

  /** Ends the link, or the attempt, and tries no more until the peer is offered again. */
  end(id: UserId): void {
    this.#sought.delete(toHex(id))
    this.#queue.withdraw(id)
    for (const { meeting } of this.#book.entries) if (equalBytes(meeting.peer.id, id)) meeting.close()
  }

  /** Our network may have changed, or we have slept: every link asks its peer at once. */
  recheckLinks(): void {
    for (const { meeting } of this.#book.entries) meeting.recheck()
  }

  /** Where we may be reached has changed: linked peers hear it over their links. */
  tellCandidates(): void {
    for (const { meeting } of this.#book.entries) meeting.tellCandidates()
  }

  /** Of the link that datagrams to this user go over; null when there is none. */
  qualityWith(id: UserId): QualityReport | null {
    return this.#book.linkWith(id)?.meeting.quality ?? null
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
    if (entry) entry.meeting.receiveSignal(box)
    else this.#shelf.put(box, this.#options.clock.now())
  }

  receive(bytes: Uint8Array, from: Endpoint): void {
    if (bytes.length < tagEnd) return
    const entry = this.#book.find(viewOf(bytes).getBigUint64(1))
    if (!entry) return
    if (bytes[0] === checkByte) entry.meeting.receiveCheck(bytes, from)
    else entry.meeting.receiveLinkPacket(bytes, from)
  }

  /** Says goodbye on every link; resolves when all are closed or `graceMs` is over. */
  async stop(graceMs: number): Promise<void> {
    this.#stopped = true
    this.#queue.clear()
    for (const entry of this.#book.entries) {
      entry.cancelClose()
      entry.meeting.close()
    }
    if (this.#book.isEmpty) return
    await new Promise<void>((resolve) => {
      const cancel = this.#options.clock.after(graceMs, resolve)
      this.#onEmpty = () => {
        cancel()
        resolve()
      }
    })
    for (const entry of this.#book.entries) {
      entry.meeting.abandon()
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
    const decided = plan({ nat: network.nat, candidates: network.candidates }, peer)
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
    const meeting = new Meeting({
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
        else this.#handle(tag, event)
      },
    })
    this.#book.add(newEntry({ tag, meeting, session, asked, strategy: decided.strategy }))
    for (const box of this.#shelf.take(keys.tag, clock.now())) meeting.receiveSignal(box)
  }

  #handle(tag: bigint, event: Exclude<MeetingEvent, { type: 'datagram' }>): void {
    const entry = this.#book.find(tag)
    if (!entry) return
    const peer = nameOf(entry.meeting.peer)
    switch (event.type) {
      case 'open':
        this.#opens(entry, event)
        return
      case 'path':
        if (this.#book.linkWith(entry.meeting.peer.id) !== entry) return
        this.#tell({ event: 'path', peer, path: reportOf(event.path) })
        return
      case 'disturbed':
        this.#disturbances.begin(entry)
        if (this.#book.linkWith(entry.meeting.peer.id) === entry) this.#tell({ event: 'disturbed', peer })
        return
      case 'recovered': {
        const afterMs = Math.round(this.#disturbances.end(entry))
        if (this.#book.linkWith(entry.meeting.peer.id) === entry)
          this.#tell({ event: 'recovered', peer, afterMs })
        return
      }
      case 'failed':
        this.#remove(entry)
        if (event.reason !== 'stopped') this.#fails(entry, event.reason)
        this.#tryNext()
        return
      case 'closed':
        this.#closes(entry, event.reason)
        this.#tryNext()
        return
    }
  }

  #opens(entry: Entry, { path, packets, sincePunchMs }: MeetingEvent & { type: 'open' }): void {
    const { clock, identity, onAttach } = this.#options
    const { meeting, session, strategy } = entry
    const peer = nameOf(meeting.peer)
    entry.openOrder = ++this.#opened
    this.#queue.withdraw(meeting.peer.id)
    supersedeOthers(this.#book, entry, identity.publicKey, clock)
    onAttach(peer, meeting)
    this.#tell({
      event: 'connected',
      peer,
      path: reportOf(path),
      plan: strategy,
      packets,
      sinceRequestMs: Math.round(clock.now() - session.requestedAt),
      sincePunchMs: Math.round(sincePunchMs),
    })
  }

  #closes(entry: Entry, reason: string): void {
    const { onAttach, onDetach, onAskAgain } = this.#options
    const { id } = entry.meeting.peer
    const peer = nameOf(entry.meeting.peer)
    this.#remove(entry)
    const other = this.#book.linkWith(id)
    if (other) {
      onAttach(nameOf(other.meeting.peer), other.meeting)
      return
    }
    if (entry.isSuperseded || this.#book.hasLinkWith(id)) return
    onDetach(peer)
    this.#tell({ event: 'disconnected', peer, reason })
    if (reason === 'lost' && !entry.hasAsked) onAskAgain()
  }

  #fails({ meeting, asked }: Entry, reason: Exclude<MeetingFailure, 'stopped'>): void {
    const { network, onFailure } = this.#options
    if (this.#book.linkWith(meeting.peer.id)) return
    this.#queue.noteFailure(meeting.peer)
    this.#tell(failureOf(meeting.peer, reason, network.nat))
    if (asked) onFailure(meeting.peer, reason === 'no-handshake' ? 'refused' : 'no-answer')
  }

  #remove(entry: Entry): void {
    this.#book.remove(entry)
    if (this.#book.isEmpty) this.#onEmpty()
  }

  #tell(event: AgentEvent): void {
    // An introduction alone changes nothing about our waiting.
    if (event.event !== 'introduced') this.#toldWaiting = false
    this.#options.onEvent(event)
  }
}
