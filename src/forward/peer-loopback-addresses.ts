// Gives each peer its own loopback address, so that a game that identifies players by address can tell them apart. The
// address is derived from the peer's ID, so it stays the same on this computer. Some systems have only 127.0.0.1; then
// all peers get that.

/** When full, the oldest is forgotten. */
const maxPeers = 4096
const commonLoopback = '127.0.0.1'

export class PeerLoopbackAddresses {
  readonly #byPeer = new Map<string, string>()
  readonly #usedAddresses = new Set<string>()
  #usesOwnAddresses = true

  of(peerId: string): string {
    if (!this.#usesOwnAddresses) return commonLoopback
    const known = this.#byPeer.get(peerId)
    if (known !== undefined) return known
    let hash = hashOf(peerId)
    while (this.#usedAddresses.has(addressOf(hash))) hash = (hash + 1) >>> 0
    const address = addressOf(hash)
    const [oldest] = this.#byPeer
    if (this.#byPeer.size >= maxPeers && oldest) {
      this.#byPeer.delete(oldest[0])
      this.#usedAddresses.delete(oldest[1])
    }
    this.#byPeer.set(peerId, address)
    this.#usedAddresses.add(address)
    return address
  }

  /** Call it when the system cannot bind to this address. Returns true when another try is useful. */
  reportUnusable(address: string): boolean {
    this.#usesOwnAddresses = false
    return address !== commonLoopback
  }
}

/** 127.64.0.1 to 127.127.255.254. Other programs rarely use this range. */
function addressOf(hash: number): string {
  return `127.${64 + (hash & 0x3f)}.${(hash >>> 6) & 0xff}.${1 + ((hash >>> 14) % 254)}`
}

/** FNV-1a with 32 bits. It only has to spread the addresses. */
function hashOf(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
