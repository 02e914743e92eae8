// The flows of one side, by key, with their bounds: a peer, or a local program, that opens ever new flows
// takes only its own away.

export const maxFlowsPerPeer = 64
export const maxFlows = 256
/** A flow that carried nothing for so long, either way, is forgotten. */
export const idleMs = 120_000
/** At a bound a flow makes way for a newer one of the same peer only after this much silence. */
export const spareAfterMs = 10_000

type Entry<Value> = { readonly peerId: string; readonly value: Value; usedAt: number }

export class FlowTable<Value> {
  readonly #flows = new Map<string, Entry<Value>>()
  readonly #onRemove: (value: Value) => void

  constructor(onRemove: (value: Value) => void) {
    this.#onRemove = onRemove
  }

  get size(): number {
    return this.#flows.size
  }

  values(): Value[] {
    return [...this.#flows.values()].map((entry) => entry.value)
  }

  /** Counts as use. */
  use(key: string, now: number): Value | undefined {
    const entry = this.#flows.get(key)
    if (entry) entry.usedAt = now
    return entry?.value
  }

  /** At a bound the peer's longest idle flow goes, if it was silent for `spareAfterMs`; otherwise the newcomer
   *  is refused and `make` is not called. */
  add(key: string, peerId: string, now: number, make: () => Value): Value | undefined {
    const own = [...this.#flows].filter(([, entry]) => entry.peerId === peerId)
    if (own.length >= maxFlowsPerPeer || this.#flows.size >= maxFlows) {
      const [idlest] = own.sort(([, a], [, b]) => a.usedAt - b.usedAt)
      if (!idlest || now - idlest[1].usedAt < spareAfterMs) return undefined
      this.remove(idlest[0])
    }
    const value = make()
    this.#flows.set(key, { peerId, value, usedAt: now })
    return value
  }

  remove(key: string): void {
    const entry = this.#flows.get(key)
    if (!entry) return
    this.#flows.delete(key)
    this.#onRemove(entry.value)
  }

  expire(now: number): void {
    for (const [key, entry] of this.#flows) if (now - entry.usedAt >= idleMs) this.remove(key)
  }

  clear(): void {
    for (const key of [...this.#flows.keys()]) this.remove(key)
  }
}
