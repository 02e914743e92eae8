// What becomes of the connections with peers: they open, move, fall silent and recover, fail or close; and which
// events of the agent come of it.
//
// Two agents may have several links for a moment: each request brings a new session, and each pair of sessions a link
// of its own. Datagrams go over the one that opened last (make before break), and one of the two agents, the one with
// the lower user ID, closes the others. If both closed what they hold superfluous, each could close the link that the
// other keeps.

import { compareBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { NatProfile } from '../../base/nat-profile.ts'
import type { PeerLink } from '../../forward/forwarder.ts'
import type { FailureReason, OfferedPeer, UserId } from '../../letter/letter-types.ts'
import { type AgentEvent, nameOf, type PeerName, reportOf } from '../events.ts'
import type { ConnectionTable, Entry } from './connection-table.ts'
import { failureOf } from './failure-text.ts'
import type { PeerConnectionEvent, PeerConnectionFailure } from './peer-connection.ts'
import type { PeerQueue } from './peer-queue.ts'

type ConnectionEventsOptions = {
  readonly clock: Clock
  readonly ownId: UserId
  readonly network: { readonly nat: NatProfile }
  readonly table: ConnectionTable
  readonly queue: PeerQueue
  readonly onEvent: (event: AgentEvent) => void
  /** A peer that a reply offered could not be reached. */
  readonly onFailure: (peer: OfferedPeer, reason: FailureReason) => void
  /** A new request is worth its mail: a link broke down, or is silent for long. */
  readonly onAskAgain: () => void
  readonly onAttach: (peer: PeerName, link: PeerLink) => void
  readonly onDetach: (peer: PeerName) => void
  /** A connection has left the table; the event follows. */
  readonly onRemoved: () => void
  /** There may be room for another connection. */
  readonly onFree: () => void
}

/** When a peer is silent, what can be done without mail is done by then. Then the host is asked, too, so that both sides
 *  learn by mail where the other is now. */
const askAfterMs = 5_000
/** A superseded link stays so long: until the newer one is surely open on both sides, and what is under way on
 *  this one has arrived. */
const supersededLinkMs = 5_000

export class ConnectionEvents {
  readonly #options: ConnectionEventsOptions
  #opened = 0

  constructor(options: ConnectionEventsOptions) {
    this.#options = options
  }

  handle(tag: bigint, event: PeerConnectionEvent): void {
    const { table, onEvent, onFree } = this.#options
    const entry = table.find(tag)
    if (!entry) return
    const peer = nameOf(entry.peerConnection.peer)
    const isInUse = () => table.linkWith(entry.peerConnection.peer.id) === entry
    switch (event.type) {
      case 'open':
        this.#open(entry, event)
        return
      case 'path':
        if (isInUse()) onEvent({ event: 'path', peer, path: reportOf(event.path) })
        return
      case 'disturbed':
        this.#beginSilence(entry)
        if (isInUse()) onEvent({ event: 'disturbed', peer })
        return
      case 'recovered': {
        const afterMs = Math.round(this.#endSilence(entry))
        if (isInUse()) onEvent({ event: 'recovered', peer, afterMs })
        return
      }
      case 'failed':
        this.#remove(entry)
        if (event.reason !== 'stopped') this.#fail(entry, event.reason)
        onFree()
        return
      case 'closed':
        this.#close(entry, event.reason)
        onFree()
        return
    }
  }

  #open(entry: Entry, { path, packets, sincePunchMs }: PeerConnectionEvent & { type: 'open' }): void {
    const { clock, queue, onAttach, onEvent } = this.#options
    const { peerConnection, session, strategy } = entry
    const peer = nameOf(peerConnection.peer)
    entry.openOrder = ++this.#opened
    queue.withdraw(peerConnection.peer.id)
    this.#supersedeOthers(entry)
    onAttach(peer, peerConnection)
    onEvent({
      event: 'connected',
      peer,
      path: reportOf(path),
      plan: strategy,
      packets,
      sinceRequestMs: Math.round(clock.now() - session.requestedAt),
      sincePunchMs: Math.round(sincePunchMs),
    })
  }

  #supersedeOthers(entry: Entry): void {
    const { clock, ownId, table } = this.#options
    const { id } = entry.peerConnection.peer
    const isCloser = compareBytes(ownId, id) < 0
    for (const other of table.others(entry)) {
      // Without a path here it cannot be open on the other side, so either may end it.
      if (other.peerConnection.isPunching) other.peerConnection.close()
      if (!isCloser || !other.peerConnection.isOpen) continue
      other.cancelClose()
      other.cancelClose = clock.after(supersededLinkMs, () => {
        // Unless the newer link broke down meanwhile.
        if (table.linkWith(id) === other) return
        other.isSuperseded = true
        other.peerConnection.close()
      })
    }
  }

  #beginSilence(entry: Entry): void {
    const { clock, table, onAskAgain } = this.#options
    entry.disturbedAt = clock.now()
    entry.cancelAsking()
    entry.cancelAsking = clock.after(askAfterMs, () => {
      // Of several links with one peer the newest counts.
      if (table.linkWith(entry.peerConnection.peer.id) !== entry) return
      entry.hasAsked = true
      onAskAgain()
    })
  }

  /** How long it was, ms. */
  #endSilence(entry: Entry): number {
    const now = this.#options.clock.now()
    entry.cancelAsking()
    entry.hasAsked = false
    const lastedMs = now - (entry.disturbedAt ?? now)
    entry.disturbedAt = null
    return lastedMs
  }

  #close(entry: Entry, reason: string): void {
    const { table, onAttach, onDetach, onAskAgain, onEvent } = this.#options
    const { id } = entry.peerConnection.peer
    const peer = nameOf(entry.peerConnection.peer)
    this.#remove(entry)
    const other = table.linkWith(id)
    if (other) {
      onAttach(nameOf(other.peerConnection.peer), other.peerConnection)
      return
    }
    if (entry.isSuperseded || table.hasLinkWith(id)) return
    onDetach(peer)
    onEvent({ event: 'disconnected', peer, reason })
    if (reason === 'lost' && !entry.hasAsked) onAskAgain()
  }

  #fail({ peerConnection, asked }: Entry, reason: Exclude<PeerConnectionFailure, 'stopped'>): void {
    const { network, table, queue, onFailure, onEvent } = this.#options
    if (table.linkWith(peerConnection.peer.id)) return
    queue.noteFailure(peerConnection.peer)
    onEvent(failureOf(peerConnection.peer, reason, network.nat))
    if (asked) onFailure(peerConnection.peer, reason === 'no-handshake' ? 'refused' : 'no-answer')
  }

  #remove(entry: Entry): void {
    this.#options.table.remove(entry)
    this.#options.onRemoved()
  }
}
