// Connections of strangers, bounded for each source and in all. When all places are taken whoever has been silent for
// longest goes, so that idlers cannot keep others out.

import { customerOf, type Endpoint } from '../../base/endpoint.ts'

export type GuestLimits = { readonly total: number; readonly perSource: number }

export type Guest = { readonly from: Endpoint; readonly close: () => void }

export class ConnectionLimit<Visitor extends Guest = Guest> {
  readonly #limits: GuestLimits
  /** Whoever spoke last is last. */
  readonly #connectionLimit = new Set<Visitor>()
  readonly #bySource = new Map<string, number>()

  constructor(limits: GuestLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#connectionLimit.size
  }

  /** False when its source has as many as it may; then it is for the caller to close. */
  admit(guest: Visitor): boolean {
    const source = customerOf(guest.from)
    const present = this.#bySource.get(source) ?? 0
    if (present >= this.#limits.perSource) return false
    const [silent] = this.#connectionLimit
    if (silent && this.#connectionLimit.size >= this.#limits.total) {
      this.leave(silent)
      silent.close()
    }
    this.#connectionLimit.add(guest)
    this.#bySource.set(source, (this.#bySource.get(source) ?? 0) + 1)
    return true
  }

  noteSpoke(guest: Visitor): void {
    if (this.#connectionLimit.delete(guest)) this.#connectionLimit.add(guest)
  }

  /** False when it was none. */
  leave(guest: Visitor): boolean {
    if (!this.#connectionLimit.delete(guest)) return false
    const source = customerOf(guest.from)
    const left = (this.#bySource.get(source) ?? 1) - 1
    if (left > 0) this.#bySource.set(source, left)
    else this.#bySource.delete(source)
    return true
  }

  closeAll(): void {
    for (const guest of [...this.#connectionLimit]) {
      this.leave(guest)
      guest.close()
    }
  }
}
