// Limits the connections of strangers, per source and in total. When all places are taken, the connection that
// was silent longest is closed, so that idle ones cannot block others.

import { customerOf, type Endpoint } from '../../base/endpoint.ts'

export type ConnectionLimits = { readonly total: number; readonly perSource: number }

export type LimitedConnection = { readonly from: Endpoint; readonly close: () => void }

export class ConnectionLimit<Connection extends LimitedConnection = LimitedConnection> {
  readonly #limits: ConnectionLimits
  /** In the order of their last activity. */
  readonly #connections = new Set<Connection>()
  readonly #bySource = new Map<string, number>()

  constructor(limits: ConnectionLimits) {
    this.#limits = limits
  }

  get size(): number {
    return this.#connections.size
  }

  /** False when its source already has as many as allowed; then the caller must close it. */
  admit(connection: Connection): boolean {
    const source = customerOf(connection.from)
    const present = this.#bySource.get(source) ?? 0
    if (present >= this.#limits.perSource) return false
    const [idlest] = this.#connections
    if (idlest && this.#connections.size >= this.#limits.total) {
      this.remove(idlest)
      idlest.close()
    }
    this.#connections.add(connection)
    this.#bySource.set(source, (this.#bySource.get(source) ?? 0) + 1)
    return true
  }

  noteActivity(connection: Connection): void {
    if (this.#connections.delete(connection)) this.#connections.add(connection)
  }

  /** False when it is unknown. */
  remove(connection: Connection): boolean {
    if (!this.#connections.delete(connection)) return false
    const source = customerOf(connection.from)
    const left = (this.#bySource.get(source) ?? 1) - 1
    if (left > 0) this.#bySource.set(source, left)
    else this.#bySource.delete(source)
    return true
  }

  closeAll(): void {
    for (const connection of [...this.#connections]) {
      this.remove(connection)
      connection.close()
    }
  }
}
