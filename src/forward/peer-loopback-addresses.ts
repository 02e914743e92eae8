// A loopback address of its own for each peer, so that a game that knows players by address can tell them apart: it follows
// from the peer's ID and so stays the same, here, as long as the peer is the same. Where the system has no loopback
// addresses but 127.0.0.1, that.

/** Peers remembered; a further one takes the place of the oldest. */
const maxPeers = 4096
const plain = '127.0.0.1'

export class PeerLoopbackAddresses {
  readonly #byPeer = new Map<string, string>()
  readonly #taken = new Set<string>()
  #distinct = true

  of(peerId: string): string {
    if (!this.#distinct) return plain
    const known = this.#byPeer.get(peerId)
    if (known !== undefined) return known
    let hash = hashOf(peerId)
    while (this.#taken.has(addressOf(hash))) hash = (hash + 1) >>> 0
    const address = addressOf(hash)
    const [oldest] = this.#byPeer
    if (this.#byPeer.size >= maxPeers && oldest) {
      this.#byPeer.delete(oldest[0])
      this.#taken.delete(oldest[1])
    }
    this.#byPeer.set(peerId, address)
    this.#taken.add(address)
    return address
  }

  /** The system would not bind to this one. True when it is worth another try. */
  giveUp(address: string): boolean {
    this.#distinct = false
    return address !== plain
  }
}

/** 127.64.0.1 to 127.127.255.254: far from the few that other programs choose by hand. */
function addressOf(hash: number): string {
  return `127.${64 + (hash & 0x3f)}.${(hash >>> 6) & 0xff}.${1 + ((hash >>> 14) % 254)}`
}

/** FNV-1a, 32 bits: only to spread. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
