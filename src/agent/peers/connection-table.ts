// The current connections with peers, by pair of sessions and by user, and the pairs whose connection is over.

import { equalBytes, toHex } from '../../base/bytes.ts'
import type { UserId } from '../../letter/letter-types.ts'
import type { OwnSession } from '../letters/session-keys.ts'
import type { PeerConnection } from './peer-connection.ts'

export type ConnectionEntry = {
  /** Names the pair of sessions. */
  readonly tag: bigint
  readonly peerConnection: PeerConnection
  readonly session: OwnSession
  /** The peer came from a reply, not from an introduction. */
  readonly isFromReply: boolean
  readonly strategy: string
  /** Increases with each link that opens. 0 while there is no link. */
  openOrder: number
  /** We closed it because a newer link exists. It emits no more events. */
  isSuperseded: boolean
  cancelClose: () => void
  /** When the peer stopped answering pings (monotonic). */
  disturbedAt: number | null
  /** A request was sent because of this silence. */
  hasRequested: boolean
  cancelRequest: () => void
}

export function newEntry(
  fields: Pick<ConnectionEntry, 'tag' | 'peerConnection' | 'session' | 'isFromReply' | 'strategy'>,
): ConnectionEntry {
  return {
    ...fields,
    openOrder: 0,
    isSuperseded: false,
    cancelClose: () => {},
    disturbedAt: null,
    hasRequested: false,
    cancelRequest: () => {},
  }
}

/** Includes connections that peers start. */
const maxConnections = 128
/** Pairs of sessions whose connection is over, so that a late letter does not start it again. When full, the oldest is
 *  forgotten. */
const maxEndedConnections = 1024

export class ConnectionTable {
  readonly #entries = new Map<bigint, ConnectionEntry>()
  readonly #ended = new Set<bigint>()

  get isEmpty(): boolean {
    return this.#entries.size === 0
  }

  get isFull(): boolean {
    return this.#entries.size >= maxConnections
  }

  /** A copy, since connections may end while the caller iterates. */
  get entries(): readonly ConnectionEntry[] {
    return [...this.#entries.values()]
  }

  find(tag: bigint): ConnectionEntry | null {
    return this.#entries.get(tag) ?? null
  }

  /** True when this pair of sessions has or had a connection. */
  knows(tag: bigint): boolean {
    return this.#entries.has(tag) || this.#ended.has(tag)
  }

  add(entry: ConnectionEntry): void {
    this.#entries.set(entry.tag, entry)
  }

  remove(entry: ConnectionEntry): void {
    entry.cancelClose()
    entry.cancelRequest()
    this.#entries.delete(entry.tag)
    this.noteEnded(entry.tag)
  }

  noteEnded(tag: bigint): void {
    const [oldest] = this.#ended
    if (oldest !== undefined && this.#ended.size >= maxEndedConnections) this.#ended.delete(oldest)
    this.#ended.add(tag)
  }

  /** The number of users with a link or an attempt. Each matches once. */
  countUsers(): number {
    return new Set(this.entries.map(({ peerConnection }) => toHex(peerConnection.peer.id))).size
  }

  others(entry: ConnectionEntry): readonly ConnectionEntry[] {
    const { id } = entry.peerConnection.peer
    return this.entries.filter((other) => other !== entry && equalBytes(other.peerConnection.peer.id, id))
  }

  /** The link that carries datagrams to this user: the newest open one. */
  linkWith(id: UserId): ConnectionEntry | null {
    return this.#newest(id, ({ peerConnection }) => peerConnection.isOpen)
  }

  /** True when a link with this user is open, or closed and its event is not emitted yet. */
  hasLinkWith(id: UserId): boolean {
    return this.#newest(id, ({ isSuperseded }) => !isSuperseded) !== null
  }

  #newest(id: UserId, matches: (entry: ConnectionEntry) => boolean): ConnectionEntry | null {
    let newest: ConnectionEntry | null = null
    for (const entry of this.#entries.values()) {
      if (entry.openOrder === 0 || !equalBytes(entry.peerConnection.peer.id, id) || !matches(entry)) continue
      if (newest === null || entry.openOrder > newest.openOrder) newest = entry
    }
    return newest
  }
}
