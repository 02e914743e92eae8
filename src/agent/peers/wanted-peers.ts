// Peers that the user wants to connect to and that no reply has contained yet.

import { toHex } from '../../base/bytes.ts'
import type { UserId } from '../../letter/letter-types.ts'
import type { PeerName } from '../events.ts'

/** When full, the oldest is forgotten. */
const maxWanted = 64

export class WantedPeers {
  /** By user ID in hex. `since` is monotonic. */
  readonly #peers = new Map<string, { readonly peer: PeerName; readonly since: number }>()

  add(id: UserId, peer: PeerName, now: number): void {
    const [oldest] = this.#peers.keys()
    if (oldest !== undefined && this.#peers.size >= maxWanted) this.#peers.delete(oldest)
    this.#peers.set(toHex(id), { peer, since: now })
  }

  /** Removes the peer. Returns whether it was wanted. */
  take(id: UserId): boolean {
    return this.#peers.delete(toHex(id))
  }

  /** Removes and returns the peers that the reply to a request of that time should have contained. */
  takeNotOffered(requestedAt: number): readonly PeerName[] {
    const notOffered = [...this.#peers].filter(([, { since }]) => requestedAt >= since)
    for (const [id] of notOffered) this.#peers.delete(id)
    return notOffered.map(([, { peer }]) => peer)
  }
}
