// The flows of one side, by peer and key, with limits. A peer or local program that opens too many flows can displace
// only its own.

export const maxFlowsPerPeer = 64
export const maxFlows = 256
/** A flow without traffic in either direction for this long is removed. */
export const idleMs = 120_000
/** At a limit, a flow must be idle for this long before a newer one of the same peer replaces it. */
export const replaceableAfterMs = 10_000

type Entry<Value> = { readonly value: Value; usedAt: number }

export class FlowTable<Key, Value> {
  readonly #peers = new Map<string, Map<Key, Entry<Value>>>()
  readonly #onRemove: (value: Value) => void
  #size = 0

  constructor(onRemove: (value: Value) => void) {
    this.#onRemove = onRemove
  }

  get size(): number {
    return this.#size
  }

  values(): Value[] {
    return [...this.#peers.values()].flatMap((flows) => [...flows.values()].map(({ value }) => value))
  }

  /** Returns the flow and marks it as used now. */
  use(peerId: string, key: Key, now: number): Value | undefined {
    const entry = this.#peers.get(peerId)?.get(key)
    if (entry) entry.usedAt = now
    return entry?.value
  }

  /** At a limit, the peer's longest idle flow is removed if it was idle for `replaceableAfterMs`. Otherwise returns
   *  undefined and does not call `make`. */
  add(peerId: string, key: Key, now: number, make: () => Value): Value | undefined {
    const own = this.#peers.get(peerId)
    if ((own?.size ?? 0) >= maxFlowsPerPeer || this.#size >= maxFlows) {
      const [idlest] = [...(own ?? [])].sort(([, a], [, b]) => a.usedAt - b.usedAt)
      if (!idlest || now - idlest[1].usedAt < replaceableAfterMs) return undefined
      this.remove(peerId, idlest[0])
    }
    const value = make()
    const flows = this.#peers.get(peerId) ?? new Map<Key, Entry<Value>>()
    this.#peers.set(peerId, flows.set(key, { value, usedAt: now }))
    this.#size++
    return value
  }

  remove(peerId: string, key: Key): void {
    const flows = this.#peers.get(peerId)
    const entry = flows?.get(key)
    if (!flows || !entry) return
    flows.delete(key)
    if (flows.size === 0) this.#peers.delete(peerId)
    this.#size--
    this.#onRemove(entry.value)
  }

  expire(now: number): void {
    this.#removeWhere((entry) => now - entry.usedAt >= idleMs)
  }

  clear(): void {
    this.#removeWhere(() => true)
  }

  #removeWhere(shouldRemove: (entry: Entry<Value>) => boolean): void {
    for (const [peerId, flows] of this.#peers)
      for (const [key, entry] of flows) if (shouldRemove(entry)) this.remove(peerId, key)
  }
}
