// The table as it will be when the letters in hand are committed: requests that arrive together must see each
// other, though they become one commit.

import { equalBytes } from '../base/bytes.ts'
import type { RoomTag, UserId } from '../letter/kinds.ts'
import type { Entry, NewEntry, PeerTable } from '../table/peer-table.ts'

type Expected = { readonly room: RoomTag; readonly entry: Entry }

export class Outlook {
  readonly #peers: PeerTable
  /** Latest first; one for each user and room; at most one for each letter in hand. */
  #expected: Expected[] = []

  constructor(peers: PeerTable) {
    this.#peers = peers
  }

  find(room: RoomTag, user: UserId, now: number): Entry | null {
    const expected = this.#expected.find(
      (one) => equalBytes(one.room, room) && equalBytes(one.entry.user, user),
    )
    return expected?.entry ?? this.#peers.find(room, user, now)
  }

  /** As `PeerTable.recent`; who is expected comes before all that are there. */
  recent(room: RoomTag, except: UserId, limit: number, now: number): readonly Entry[] {
    const expected = this.#expected.filter((one) => equalBytes(one.room, room)).map(({ entry }) => entry)
    const others = expected.filter(({ user }) => !equalBytes(user, except))
    if (others.length >= limit) return others.slice(0, limit)
    const present = this.#peers
      .recent(room, except, limit, now)
      .filter(({ user }) => !expected.some((entry) => equalBytes(entry.user, user)))
    return [...others, ...present].slice(0, limit)
  }

  /** The entry the request will leave, which is the present one where that was signed later. */
  upsert(room: RoomTag, entry: NewEntry, now: number): Entry {
    const present = this.find(room, entry.user, now)
    if (present !== null && present.sentAt > entry.sentAt) return present
    const expected = { ...entry, flagged: false, acceptedAt: now }
    const others = this.#expected.filter(
      (one) => !equalBytes(one.room, room) || !equalBytes(one.entry.user, entry.user),
    )
    this.#expected = [{ room, entry: expected }, ...others]
    return expected
  }
}
