// Which connections with peers there are, by pair of sessions and by user, and which pairs had theirs.

import { equalBytes, toHex } from '../../base/bytes.ts'
import type { UserId } from '../../letter/letter-types.ts'
import type { OwnSession } from '../letters/session-keys.ts'
import type { PeerConnection } from './peer-connection.ts'

export type Entry = {
  /** Of the pair of sessions. */
  readonly tag: bigint
  readonly peerConnection: PeerConnection
  readonly session: OwnSession
  /** A reply brought us together, not an introduction. */
  readonly asked: boolean
  readonly strategy: string
  /** Rises from link to link; 0 while there is none. */
  openOrder: number
  /** We closed it in favour of a newer link: no event comes of it any more. */
  isSuperseded: boolean
  cancelClose: () => void
  /** Since when the peer is silent though asked; monotonic. */
  disturbedAt: number | null
  /** The host was asked about this silence. */
  hasAsked: boolean
  cancelAsking: () => void
}

export function newEntry(
  facts: Pick<Entry, 'tag' | 'peerConnection' | 'session' | 'asked' | 'strategy'>,
): Entry {
  return {
    ...facts,
    openOrder: 0,
    isSuperseded: false,
    cancelClose: () => {},
    disturbedAt: null,
    hasAsked: false,
    cancelAsking: () => {},
  }
}

/** Connections at once, those that others begin included. */
const mostConnections = 128
/** Pairs of sessions whose connection is over, so that a late letter does not start it again; the oldest go. */
const rememberedConnections = 1024

export class ConnectionTable {
  readonly #entries = new Map<bigint, Entry>()
  readonly #over = new Set<bigint>()

  get isEmpty(): boolean {
    return this.#entries.size === 0
  }

  get isFull(): boolean {
    return this.#entries.size >= mostConnections
  }

  /** A copy: connections may end while one goes through it. */
  get entries(): readonly Entry[] {
    return [...this.#entries.values()]
  }

  find(tag: bigint): Entry | null {
    return this.#entries.get(tag) ?? null
  }

  /** Whether this pair of sessions has or had a connection. */
  knows(tag: bigint): boolean {
    return this.#entries.has(tag) || this.#over.has(tag)
  }

  add(entry: Entry): void {
    this.#entries.set(entry.tag, entry)
  }

  remove(entry: Entry): void {
    entry.cancelClose()
    entry.cancelAsking()
    this.#entries.delete(entry.tag)
    this.noteOver(entry.tag)
  }

  noteOver(tag: bigint): void {
    const [oldest] = this.#over
    if (oldest !== undefined && this.#over.size >= rememberedConnections) this.#over.delete(oldest)
    this.#over.add(tag)
  }

  /** Users linked or being tried, each counted once. */
  countUsers(): number {
    return new Set(this.entries.map(({ peerConnection }) => toHex(peerConnection.peer.id))).size
  }

  others(entry: Entry): readonly Entry[] {
    const { id } = entry.peerConnection.peer
    return this.entries.filter((other) => other !== entry && equalBytes(other.peerConnection.peer.id, id))
  }

  /** The link that datagrams to this user go over: of the open ones the newest. */
  linkWith(id: UserId): Entry | null {
    return this.#newest(id, ({ peerConnection }) => peerConnection.isOpen)
  }

  /** Whether a link with this user is open, or about to emit that it closed. */
  hasLinkWith(id: UserId): boolean {
    return this.#newest(id, ({ isSuperseded }) => !isSuperseded) !== null
  }

  #newest(id: UserId, counts: (entry: Entry) => boolean): Entry | null {
    let newest: Entry | null = null
    for (const entry of this.#entries.values()) {
      if (entry.openOrder === 0 || !equalBytes(entry.peerConnection.peer.id, id) || !counts(entry)) continue
      if (newest === null || entry.openOrder > newest.openOrder) newest = entry
    }
    return newest
  }
}
