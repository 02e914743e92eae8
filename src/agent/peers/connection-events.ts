// What becomes of meetings: they open, move, fall silent and recover, fail or close; and who is told of it.

import type { Entry, MeetingBook } from './connection-table.ts'
import type { MeetingsOptions } from './connector-types.ts'
import { failureOf, nameOf, reportOf } from './describe.ts'
import { supersedeOthers } from './duplicate-links.ts'
import type { MeetingEvent, MeetingFailure } from './peer-connection-types.ts'
import type { Queue } from './peer-queue.ts'
import { Disturbances } from './silent-links.ts'

export type OutcomesOptions = Pick<
  MeetingsOptions,
  'clock' | 'identity' | 'network' | 'onEvent' | 'onFailure' | 'onAskAgain' | 'onAttach' | 'onDetach'
> & {
  readonly book: MeetingBook
  readonly queue: Queue
  /** A meeting has left the book, before it is told of. */
  readonly onRemoved: () => void
  /** There may be room for another meeting. */
  readonly onFree: () => void
}

export class Outcomes {
  readonly #options: OutcomesOptions
  readonly #disturbances: Disturbances
  #opened = 0

  constructor(options: OutcomesOptions) {
    this.#options = options
    this.#disturbances = new Disturbances(options.clock, options.book, () => options.onAskAgain())
  }

  handle(tag: bigint, event: Exclude<MeetingEvent, { type: 'datagram' }>): void {
    const { book, onEvent, onFree } = this.#options
    const entry = book.find(tag)
    if (!entry) return
    const peer = nameOf(entry.meeting.peer)
    const isInUse = () => book.linkWith(entry.meeting.peer.id) === entry
    switch (event.type) {
      case 'open':
        this.#opens(entry, event)
        return
      case 'path':
        if (isInUse()) onEvent({ event: 'path', peer, path: reportOf(event.path) })
        return
      case 'disturbed':
        this.#disturbances.begin(entry)
        if (isInUse()) onEvent({ event: 'disturbed', peer })
        return
      case 'recovered': {
        const afterMs = Math.round(this.#disturbances.end(entry))
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

  #opens(entry: Entry, { path, packets, sincePunchMs }: MeetingEvent & { type: 'open' }): void {
    const { clock, identity, book, queue, onAttach, onEvent } = this.#options
    const { meeting, session, strategy } = entry
    const peer = nameOf(meeting.peer)
    entry.openOrder = ++this.#opened
    queue.withdraw(meeting.peer.id)
    supersedeOthers(book, entry, identity.publicKey, clock)
    onAttach(peer, meeting)
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
    const { id } = entry.meeting.peer
    const peer = nameOf(entry.meeting.peer)
    this.#remove(entry)
    const other = book.linkWith(id)
    if (other) {
      onAttach(nameOf(other.meeting.peer), other.meeting)
      return
    }
    if (entry.isSuperseded || book.hasLinkWith(id)) return
    onDetach(peer)
    onEvent({ event: 'disconnected', peer, reason })
    if (reason === 'lost' && !entry.hasAsked) onAskAgain()
  }

  #fails({ meeting, asked }: Entry, reason: Exclude<MeetingFailure, 'stopped'>): void {
    const { network, book, queue, onFailure, onEvent } = this.#options
    if (book.linkWith(meeting.peer.id)) return
    queue.noteFailure(meeting.peer)
    onEvent(failureOf(meeting.peer, reason, network.nat))
    if (asked) onFailure(meeting.peer, reason === 'no-handshake' ? 'refused' : 'no-answer')
  }

  #remove(entry: Entry): void {
    this.#options.book.remove(entry)
    this.#options.onRemoved()
  }
}
