// Connections of strangers, bounded for each source and in all. When all places are taken whoever has been silent for
// longest goes, so that idlers cannot keep others out.

import { customerOf, type Endpoint } from '../../base/endpoint.ts'

export type ConnectionLimits = { readonly total: number; readonly perSource: number }

export type LimitedConnection = { readonly from: Endpoint; readonly close: () => void }

export class ConnectionLimit<Connection extends LimitedConnection = LimitedConnection> {
  readonly #limits: ConnectionLimits
  /** Whoever spoke last is last. */
  readonly #connections = new Set<Connection>()
  readonly #bySource = new Map<string, number>()

  constructor(limits: ConnectionLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#connections.size
  }

  /** False when its source has as many as it may; then it is for the caller to close. */
  admit(connection: Connection): boolean {
    const source = customerOf(connection.from)
    const present = this.#bySource.get(source) ?? 0
    if (present >= this.#limits.perSource) return false
    const [silent] = this.#connections
    if (silent && this.#connections.size >= this.#limits.total) {
      this.leave(silent)
      silent.close()
    }
    this.#connections.add(connection)
    this.#bySource.set(source, (this.#bySource.get(source) ?? 0) + 1)
    return true
  }

  noteSpoke(connection: Connection): void {
    if (this.#connections.delete(connection)) this.#connections.add(connection)
  }

  /** False when it was none. */
  leave(connection: Connection): boolean {
    if (!this.#connections.delete(connection)) return false
    const source = customerOf(connection.from)
    const left = (this.#bySource.get(source) ?? 1) - 1
    if (left > 0) this.#bySource.set(source, left)
    else this.#bySource.delete(source)
    return true
  }

  closeAll(): void {
    for (const connection of [...this.#connections]) {
      this.leave(connection)
      connection.close()
    }
  }
}
