// Peers that the user asked for by name and that no reply has named yet.

import { toHex } from '../../base/bytes.ts'
import type { UserId } from '../../letter/letter-types.ts'
import type { PeerName } from '../events.ts'

/** At once, at most; beyond it the oldest is forgotten. */
const mostWanted = 64

export class WantedPeers {
  /** By user ID in hex; `since` is monotonic. */
  readonly #peers = new Map<string, { readonly peer: PeerName; readonly since: number }>()

  add(id: UserId, peer: PeerName, now: number): void {
    const [oldest] = this.#peers.keys()
    if (oldest !== undefined && this.#peers.size >= mostWanted) this.#peers.delete(oldest)
    this.#peers.set(toHex(id), { peer, since: now })
  }

  /** Whether the peer was wanted; from now on it is not. */
  take(id: UserId): boolean {
    return this.#peers.delete(toHex(id))
  }

  /** Those whom the answer to a request of that time should have named; they are not wanted any more. */
  takeUnnamed(requestedAt: number): readonly PeerName[] {
    const unnamed = [...this.#peers].filter(([, { since }]) => requestedAt >= since)
    for (const [id] of unnamed) this.#peers.delete(id)
    return unnamed.map(([, { peer }]) => peer)
  }
}
