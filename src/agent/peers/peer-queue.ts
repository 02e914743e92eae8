// Peers from replies that wait for an attempt (A6, A8). A peer punches only for some time after the host introduced us
// to it. To try it later, we need a new introduction and thus a new request.

import { toHex } from '../../base/bytes.ts'
import type { OfferedPeer, UserId } from '../../letter/letter-types.ts'
import type { OwnSession } from '../letters/session-keys.ts'

type WaitingPeer = {
  readonly peer: OfferedPeer
  /** Our own session. The reply to it contained the peer. */
  readonly session: OwnSession
  /** Monotonic. */
  readonly offeredAt: number
}

type NextPeer =
  | { readonly next: 'try'; readonly waiting: WaitingPeer }
  /** The peers left were introduced to us too long ago, and not all of them have failed before. */
  | { readonly next: 'request-again' }
  | { readonly next: 'none' }

/** When full, the oldest and least preferred are dropped. A reply has at most 16 peers. */
const maxWaiting = 64
/** When full, the oldest is forgotten. */
const maxRememberedFailures = 256

export class PeerQueue {
  #waiting: WaitingPeer[] = []
  /** Session IDs of peers that could not be reached. */
  readonly #failed = new Set<string>()
  readonly #freshMs: number

  /** `freshMs`: how long after its introduction a peer still punches. */
  constructor(freshMs: number) {
    this.#freshMs = freshMs
  }

  /** Adds peers in order of preference, before those that wait already. Among them, peers that failed before go last. */
  offer(peers: readonly OfferedPeer[], session: OwnSession, now: number): void {
    const offered = peers.map((peer) => ({ peer, session, offeredAt: now }))
    const untried = offered.filter(({ peer }) => !this.#hasFailed(peer))
    const failed = offered.filter(({ peer }) => this.#hasFailed(peer))
    const ids = new Set(peers.map((peer) => toHex(peer.id)))
    const older = this.#waiting.filter(({ peer }) => !ids.has(toHex(peer.id)))
    this.#waiting = [...untried, ...failed, ...older].slice(0, maxWaiting)
  }

  /** Removes a peer, for example because it has connected to us. */
  withdraw(id: UserId): void {
    this.#waiting = this.#waiting.filter(({ peer }) => toHex(peer.id) !== toHex(id))
  }

  noteFailure(peer: OfferedPeer): void {
    const [oldest] = this.#failed
    if (oldest !== undefined && this.#failed.size >= maxRememberedFailures) this.#failed.delete(oldest)
    this.#failed.add(toHex(peer.session.id))
  }

  clear(): void {
    this.#waiting = []
  }

  /** `isUsable`: true when our own session still has its key. */
  next(now: number, isUsable: (session: OwnSession) => boolean): NextPeer {
    let needsRequest = false
    for (let waiting = this.#waiting.shift(); waiting; waiting = this.#waiting.shift()) {
      if (now - waiting.offeredAt <= this.#freshMs && isUsable(waiting.session)) {
        return { next: 'try', waiting }
      }
      if (!this.#hasFailed(waiting.peer)) needsRequest = true
    }
    return { next: needsRequest ? 'request-again' : 'none' }
  }

  #hasFailed(peer: OfferedPeer): boolean {
    return this.#failed.has(toHex(peer.session.id))
  }
}
