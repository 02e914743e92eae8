// Turns the events of peer connections into events of the agent. A connection opens, moves, becomes silent, recovers,
// fails or closes.
//
// Two agents can have several links for a short time: each request has a new session, and each pair of sessions has its
// own link. Datagrams use the link that opened last (make before break). The agent with the lower user ID closes the
// others. If both closed links, each could close the one that the other keeps.

import { compareBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { NatProfile } from '../../base/nat-profile.ts'
import type { PeerLink } from '../../forward/forwarder.ts'
import type { FailureReason, OfferedPeer, UserId } from '../../letter/letter-types.ts'
import { type AgentEvent, nameOf, type PeerName, reportOf } from '../events.ts'
import type { ConnectionEntry, ConnectionTable } from './connection-table.ts'
import { failedEvent } from './failure-text.ts'
import type { PeerConnectionEvent, PeerConnectionFailure } from './peer-connection.ts'
import type { PeerQueue } from './peer-queue.ts'

type ConnectionEventsOptions = {
  readonly clock: Clock
  readonly ownId: UserId
  readonly network: { readonly nat: NatProfile }
  readonly table: ConnectionTable
  readonly queue: PeerQueue
  readonly onEvent: (event: AgentEvent) => void
  /** A peer from a reply could not be reached. */
  readonly onFailure: (peer: OfferedPeer, reason: FailureReason) => void
  /** A new request is worth its mail: a link was lost or has been silent for long. */
  readonly onRequestNeeded: () => void
  readonly onAttach: (peer: PeerName, link: PeerLink) => void
  readonly onDetach: (peer: PeerName) => void
  /** A connection was removed from the table. Its event follows. */
  readonly onRemoved: () => void
  /** There may be room for one more connection. */
  readonly onConnectionEnded: () => void
}

/** By then, all attempts without mail have been made. A new request then lets both sides learn the other's current
 *  candidates. */
const requestAfterSilenceMs = 5_000
/** A superseded link stays open this long. By then the newer link is open on both sides, and packets in transit on the
 *  old one have arrived. */
const supersededLinkMs = 5_000

export class ConnectionEvents {
  readonly #options: ConnectionEventsOptions
  #opened = 0

  constructor(options: ConnectionEventsOptions) {
    this.#options = options
  }

  handle(tag: bigint, event: PeerConnectionEvent): void {
    const { table, onEvent, onConnectionEnded } = this.#options
    const entry = table.find(tag)
    if (!entry) return
    const peer = nameOf(entry.peerConnection.peer)
    const isInUse = () => table.linkWith(entry.peerConnection.peer.id) === entry
    switch (event.type) {
      case 'open':
        this.#handleOpen(entry, event)
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
        if (event.reason !== 'stopped') this.#handleFailure(entry, event.reason)
        onConnectionEnded()
        return
      case 'closed':
        this.#handleClose(entry, event.reason)
        onConnectionEnded()
        return
    }
  }

  #handleOpen(
    entry: ConnectionEntry,
    { path, packets, sincePunchMs }: PeerConnectionEvent & { type: 'open' },
  ): void {
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

  #supersedeOthers(entry: ConnectionEntry): void {
    const { clock, ownId, table } = this.#options
    const { id } = entry.peerConnection.peer
    const closesOthers = compareBytes(ownId, id) < 0
    for (const other of table.others(entry)) {
      // A connection without a path here cannot be open on the other side, so either side may end it.
      if (other.peerConnection.isPunching) other.peerConnection.close()
      if (!closesOthers || !other.peerConnection.isOpen) continue
      other.cancelClose()
      other.cancelClose = clock.after(supersededLinkMs, () => {
        // The newer link was lost meanwhile, so this one stays.
        if (table.linkWith(id) === other) return
        other.isSuperseded = true
        other.peerConnection.close()
      })
    }
  }

  #beginSilence(entry: ConnectionEntry): void {
    const { clock, table, onRequestNeeded } = this.#options
    entry.disturbedAt = clock.now()
    entry.cancelRequest()
    entry.cancelRequest = clock.after(requestAfterSilenceMs, () => {
      // Only the newest of several links with one peer counts.
      if (table.linkWith(entry.peerConnection.peer.id) !== entry) return
      entry.hasRequested = true
      onRequestNeeded()
    })
  }

  /** Returns how long the silence lasted, in ms. */
  #endSilence(entry: ConnectionEntry): number {
    const now = this.#options.clock.now()
    entry.cancelRequest()
    entry.hasRequested = false
    const lastedMs = now - (entry.disturbedAt ?? now)
    entry.disturbedAt = null
    return lastedMs
  }

  #handleClose(entry: ConnectionEntry, reason: string): void {
    const { table, onAttach, onDetach, onRequestNeeded, onEvent } = this.#options
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
    if (reason === 'lost' && !entry.hasRequested) onRequestNeeded()
  }

  #handleFailure(
    { peerConnection, isFromReply }: ConnectionEntry,
    reason: Exclude<PeerConnectionFailure, 'stopped'>,
  ): void {
    const { network, table, queue, onFailure, onEvent } = this.#options
    if (table.linkWith(peerConnection.peer.id)) return
    queue.noteFailure(peerConnection.peer)
    onEvent(failedEvent(peerConnection.peer, reason, network.nat))
    if (isFromReply) onFailure(peerConnection.peer, reason === 'no-handshake' ? 'refused' : 'no-answer')
  }

  #remove(entry: ConnectionEntry): void {
    this.#options.table.remove(entry)
    this.#options.onRemoved()
  }
}
