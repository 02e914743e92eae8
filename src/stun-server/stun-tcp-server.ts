// The address server over TCP (RFC 8489 §6.2.2), for agents that punch by TCP. A connection is closed when it sends
// anything but STUN, when it does not read our answers, and when it is silent for too long.

import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import type { Endpoint } from '../base/endpoint.ts'
import type { StunRequest } from '../nat/stun-message.ts'
import { stunSplitter } from '../nat/stun-tcp-framing.ts'
import { ConnectionLimit, type ConnectionLimits } from '../net/tcp/connection-limit.ts'
import { openTcpListener, type TcpListener } from '../net/tcp/tcp-listener.ts'
import { buildResponse } from './stun-response.ts'

/** Several agents may be behind one address. Each keeps a connection while its letters travel. */
const defaultConnectionLimits: ConnectionLimits = { total: 4_096, perSource: 32 }
/** Agents send a request every 30 s. */
export const idleTimeoutMs = 100_000
/** A client that has left more than this unread is disconnected. */
const maxUnreadBytes = 4_096

export type StunTcpServerOptions = {
  readonly clock: Clock
  readonly limits?: ConnectionLimits
  /** Returns the request when it is valid and within the rate limit. It is counted in any case. */
  readonly accept: (bytes: Uint8Array, from: Endpoint) => StunRequest | null
}

type Connection = { readonly from: Endpoint; readonly close: () => void }

export class StunTcpServer {
  readonly #options: StunTcpServerOptions
  readonly #connectionLimit: ConnectionLimit<Connection>
  readonly #listeners: TcpListener[] = []

  constructor(options: StunTcpServerOptions) {
    this.#options = options
    this.#connectionLimit = new ConnectionLimit(options.limits ?? defaultConnectionLimits)
  }

  get connections(): number {
    return this.#connectionLimit.size
  }

  /** Rejects with a Problem when the endpoint cannot be opened. */
  async open(local: Endpoint, family: 4 | 6): Promise<void> {
    const listener = await openTcpListener({
      ...local,
      family,
      onConnection: (socket, from) => this.#handleConnection(socket, from, local),
    })
    this.#listeners.push(listener)
  }

  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.close()
    this.#connectionLimit.closeAll()
  }

  #handleConnection(socket: Socket, from: Endpoint, local: Endpoint): void {
    const { clock, accept } = this.#options
    const connection: Connection = { from, close: () => socket.destroy() }
    if (!this.#connectionLimit.admit(connection)) {
      socket.destroy()
      return
    }
    const splitter = stunSplitter()
    let cancel = () => {}
    const restartIdleTimer = () => {
      cancel()
      cancel = clock.after(idleTimeoutMs, connection.close)
    }
    restartIdleTimer()
    socket.on('close', () => {
      cancel()
      this.#connectionLimit.remove(connection)
    })
    socket.on('data', (bytes) => {
      const messages = splitter.push(bytes)
      if (!messages || socket.writableLength > maxUnreadBytes) {
        connection.close()
        return
      }
      for (const message of messages) {
        const request = accept(message, from)
        // No alternates: an answer can only use the connection that the request came by.
        if (request) socket.write(buildResponse(request, { from, to: local }, null).bytes)
      }
      if (messages.length === 0) return
      this.#connectionLimit.noteActivity(connection)
      restartIdleTimer()
    })
  }
}
