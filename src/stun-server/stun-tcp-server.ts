// The address server over TCP (RFC 8489 §6.2.2), for agents that know no other way. A connection is bounded in all it can
// make us hold: nothing but STUN is read, little is written to whoever does not read, and who is silent is let go.

import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import type { Endpoint } from '../base/endpoint.ts'
import type { StunRequest } from '../nat/stun-message.ts'
import { stunSplitter } from '../nat/stun-tcp-framing.ts'
import { ConnectionLimit, type ConnectionLimits } from '../net/tcp/connection-limit.ts'
import { openTcpListener, type TcpListener } from '../net/tcp/tcp-listener.ts'
import { answerTo } from './stun-response.ts'

/** Agents behind one address keep a connection each while their letters travel. */
export const defaultConnectionLimits: ConnectionLimits = { total: 4_096, perSource: 32 }
/** Agents ask every 30 s. */
export const mostSilentMs = 100_000
/** Answers that its reader has not taken. */
const maxUnreadBytes = 4_096

export type StunTcpServerOptions = {
  readonly clock: Clock
  readonly limits?: ConnectionLimits
  /** What is asked, if it is a sound request that may be answered now; counted. */
  readonly take: (bytes: Uint8Array, from: Endpoint) => StunRequest | null
}

type LimitedConnection = { readonly from: Endpoint; readonly close: () => void }

export class StunTcpServer {
  readonly #options: StunTcpServerOptions
  readonly #connectionLimit: ConnectionLimit<LimitedConnection>
  readonly #listeners: TcpListener[] = []

  constructor(options: StunTcpServerOptions) {
    this.#options = options
    this.#connectionLimit = new ConnectionLimit(options.limits ?? defaultConnectionLimits)
  }

  get connections(): number {
    return this.#connectionLimit.size
  }

  /** Rejects with a Problem when the place cannot be had. */
  async open(place: Endpoint, family: 4 | 6): Promise<void> {
    const listener = await openTcpListener({
      ...place,
      family,
      onConnection: (socket, from) => this.#welcome(socket, from, place),
    })
    this.#listeners.push(listener)
  }

  close(): void {
    for (const listener of this.#listeners.splice(0)) listener.close()
    this.#connectionLimit.closeAll()
  }

  #welcome(socket: Socket, from: Endpoint, place: Endpoint): void {
    const { clock, take } = this.#options
    const connection: LimitedConnection = { from, close: () => socket.destroy() }
    if (!this.#connectionLimit.admit(connection)) {
      socket.destroy()
      return
    }
    const splitter = stunSplitter()
    let cancel = () => {}
    const wait = () => {
      cancel()
      cancel = clock.after(mostSilentMs, connection.close)
    }
    wait()
    socket.on('close', () => {
      cancel()
      this.#connectionLimit.leave(connection)
    })
    socket.on('data', (bytes) => {
      const messages = splitter.push(bytes)
      if (!messages || socket.writableLength > maxUnreadBytes) {
        connection.close()
        return
      }
      for (const message of messages) {
        const request = take(message, from)
        // By the way it came: in a connection there is no other place to answer from or to.
        if (request) socket.write(answerTo(request, { from, to: place }, null).bytes)
      }
      if (messages.length === 0) return
      this.#connectionLimit.noteSpoke(connection)
      wait()
    })
  }
}
