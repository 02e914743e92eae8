// Peers of replies that wait until they are tried (A6, A8). A peer punches for us only for a while after it was
// introduced to us; whoever is tried later than that must be introduced again, by a new request.

import { toHex } from '../../base/bytes.ts'
import type { OfferedPeer, UserId } from '../../letter/letter-types.ts'
import type { OwnSession } from '../letters/session-keys.ts'

type Candidacy = {
  readonly peer: OfferedPeer
  /** Ours, whose answer named the peer. */
  readonly session: OwnSession
  /** Monotonic. */
  readonly offeredAt: number
}

type NextPeer =
  | { readonly next: 'try'; readonly candidacy: Candidacy }
  /** Those left were introduced to us too long ago, and not all of them have failed before. */
  | { readonly next: 'ask-again' }
  | { readonly next: 'nobody' }

/** Peers that wait; a reply brings at most 16. */
const mostWaiting = 64
/** Failures remembered; beyond it the oldest are forgotten. */
const rememberedFailures = 256

export class PeerQueue {
  #waiting: Candidacy[] = []
  /** Sessions of peers that could not be reached. */
  readonly #failed = new Set<string>()
  readonly #freshMs: number

  /** `freshMs`: how long a peer that was introduced to us can be counted on to punch. */
  constructor(freshMs: number) {
    this.#freshMs = freshMs
  }

  /** In order of preference; they go before those that wait already. Of these, whoever failed goes last. */
  offer(peers: readonly OfferedPeer[], session: OwnSession, now: number): void {
    const offered = peers.map((peer) => ({ peer, session, offeredAt: now }))
    const hopeful = offered.filter(({ peer }) => !this.#hasFailed(peer))
    const failed = offered.filter(({ peer }) => this.#hasFailed(peer))
    const ids = new Set(peers.map((peer) => toHex(peer.id)))
    const older = this.#waiting.filter(({ peer }) => !ids.has(toHex(peer.id)))
    this.#waiting = [...hopeful, ...failed, ...older].slice(0, mostWaiting)
  }

  /** The peer came to us. */
  withdraw(id: UserId): void {
    this.#waiting = this.#waiting.filter(({ peer }) => toHex(peer.id) !== toHex(id))
  }

  noteFailure(peer: OfferedPeer): void {
    const [oldest] = this.#failed
    if (oldest !== undefined && this.#failed.size >= rememberedFailures) this.#failed.delete(oldest)
    this.#failed.add(toHex(peer.session.id))
  }

  clear(): void {
    this.#waiting = []
  }

  /** `isUsable`: whether our own session still has its key. */
  next(now: number, isUsable: (session: OwnSession) => boolean): NextPeer {
    let isWorthAsking = false
    for (let candidacy = this.#waiting.shift(); candidacy; candidacy = this.#waiting.shift()) {
      if (now - candidacy.offeredAt <= this.#freshMs && isUsable(candidacy.session)) {
        return { next: 'try', candidacy }
      }
      if (!this.#hasFailed(candidacy.peer)) isWorthAsking = true
    }
    return { next: isWorthAsking ? 'ask-again' : 'nobody' }
  }

  #hasFailed(peer: OfferedPeer): boolean {
    return this.#failed.has(toHex(peer.session.id))
  }
}
