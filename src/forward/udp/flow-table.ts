// The flows of one side, by peer and key, with their bounds: a peer, or a local program, that opens ever new flows
// takes only its own away.

export const maxFlowsPerPeer = 64
export const maxFlows = 256
/** A flow that carried nothing for so long, either way, is forgotten. */
export const idleMs = 120_000
/** At a bound a flow makes way for a newer one of the same peer only after this much silence. */
export const spareAfterMs = 10_000

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

  /** Counts as use. */
  use(peerId: string, key: Key, now: number): Value | undefined {
    const entry = this.#peers.get(peerId)?.get(key)
    if (entry) entry.usedAt = now
    return entry?.value
  }

  /** At a bound the peer's longest idle flow goes, if it was silent for `spareAfterMs`; otherwise the newcomer
   *  is refused and `make` is not called. */
  add(peerId: string, key: Key, now: number, make: () => Value): Value | undefined {
    const own = this.#peers.get(peerId)
    if ((own?.size ?? 0) >= maxFlowsPerPeer || this.#size >= maxFlows) {
      const [idlest] = [...(own ?? [])].sort(([, a], [, b]) => a.usedAt - b.usedAt)
      if (!idlest || now - idlest[1].usedAt < spareAfterMs) return undefined
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

  #removeWhere(isOver: (entry: Entry<Value>) => boolean): void {
    for (const [peerId, flows] of this.#peers)
      for (const [key, entry] of flows) if (isOver(entry)) this.remove(peerId, key)
  }
}
