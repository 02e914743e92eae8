// What becomes of meetings: they open, move, fall silent and recover, fail or close; and who is told of it.

import type { ConnectionTable, Entry } from './connection-table.ts'
import type { ConnectorOptions } from './connector-types.ts'
import { failureOf, nameOf, reportOf } from './describe.ts'
import { supersedeOthers } from './duplicate-links.ts'
import type { PeerConnectionEvent, PeerConnectionFailure } from './peer-connection-types.ts'
import type { PeerQueue } from './peer-queue.ts'
import { SilentLinks } from './silent-links.ts'

export type ConnectionEventsOptions = Pick<
  ConnectorOptions,
  'clock' | 'identity' | 'network' | 'onEvent' | 'onFailure' | 'onAskAgain' | 'onAttach' | 'onDetach'
> & {
  readonly book: ConnectionTable
  readonly queue: PeerQueue
  /** A meeting has left the book, before it is told of. */
  readonly onRemoved: () => void
  /** There may be room for another meeting. */
  readonly onFree: () => void
}

export class ConnectionEvents {
  readonly #options: ConnectionEventsOptions
  readonly #silentLinks: SilentLinks
  #opened = 0

  constructor(options: ConnectionEventsOptions) {
    this.#options = options
    this.#silentLinks = new SilentLinks(options.clock, options.book, () => options.onAskAgain())
  }

  handle(tag: bigint, event: Exclude<PeerConnectionEvent, { type: 'datagram' }>): void {
    const { book, onEvent, onFree } = this.#options
    const entry = book.find(tag)
    if (!entry) return
    const peer = nameOf(entry.peerConnection.peer)
    const isInUse = () => book.linkWith(entry.peerConnection.peer.id) === entry
    switch (event.type) {
      case 'open':
        this.#opens(entry, event)
        return
      case 'path':
        if (isInUse()) onEvent({ event: 'path', peer, path: reportOf(event.path) })
        return
      case 'disturbed':
        this.#silentLinks.begin(entry)
        if (isInUse()) onEvent({ event: 'disturbed', peer })
        return
      case 'recovered': {
        const afterMs = Math.round(this.#silentLinks.end(entry))
        if (isInUse()) onEvent({ event: 'recovered', peer, afterMs })
        return
      }
      case 'failed':
        this.#remove(entry)
        if (event.reason !== 'stopped') this.#fails(entry, event.reason)
        onFree()
        return
      case 'closed':
        this.#closes(entry, event.reason)
        onFree()
        return
    }
  }

  #opens(entry: Entry, { path, packets, sincePunchMs }: PeerConnectionEvent & { type: 'open' }): void {
    const { clock, identity, book, queue, onAttach, onEvent } = this.#options
    const { peerConnection, session, strategy } = entry
    const peer = nameOf(peerConnection.peer)
    entry.openOrder = ++this.#opened
    queue.withdraw(peerConnection.peer.id)
    supersedeOthers(book, entry, identity.publicKey, clock)
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

  #closes(entry: Entry, reason: string): void {
    const { book, onAttach, onDetach, onAskAgain, onEvent } = this.#options
    const { id } = entry.peerConnection.peer
    const peer = nameOf(entry.peerConnection.peer)
    this.#remove(entry)
    const other = book.linkWith(id)
    if (other) {
      onAttach(nameOf(other.peerConnection.peer), other.peerConnection)
      return
    }
    if (entry.isSuperseded || book.hasLinkWith(id)) return
    onDetach(peer)
    onEvent({ event: 'disconnected', peer, reason })
    if (reason === 'lost' && !entry.hasAsked) onAskAgain()
  }

  #fails({ peerConnection, asked }: Entry, reason: Exclude<PeerConnectionFailure, 'stopped'>): void {
    const { network, book, queue, onFailure, onEvent } = this.#options
    if (book.linkWith(peerConnection.peer.id)) return
    queue.noteFailure(peerConnection.peer)
    onEvent(failureOf(peerConnection.peer, reason, network.nat))
    if (asked) onFailure(peerConnection.peer, reason === 'no-handshake' ? 'refused' : 'no-answer')
  }

  #remove(entry: Entry): void {
    this.#options.book.remove(entry)
    this.#options.onRemoved()
  }
}
