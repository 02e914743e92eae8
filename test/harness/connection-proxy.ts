// A TCP proxy for a mail server that can simulate a dead connection: both ends stay connected, but no data
// passes.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export type ConnectionProxy = {
  readonly port: number
  /** Connections accepted so far. */
  readonly accepted: () => number
  /** Bytes that came from the server. */
  readonly received: () => number
  /** From now on open connections pass no data. New ones are refused, or pass data if `fresh` says so. */
  goDead(fresh: 'refuse' | 'pass'): void
  heal(): void
  /** New connections go to another server. */
  retarget(port: number): void
  /** Ends every open connection abruptly. */
  cut(): void
  stop(): Promise<void>
}

export async function startConnectionProxy(target: { readonly port: number }): Promise<ConnectionProxy> {
  const connections = new Set<readonly [Socket, Socket]>()
  let accepted = 0
  let received = 0
  let isRefusing = false
  let targetPort = target.port
  const server = createServer((inner) => {
    if (isRefusing) return inner.destroy()
    accepted++
    const outer = connect(targetPort, '127.0.0.1')
    outer.on('data', (chunk) => {
      received += chunk.length
    })
    const connection = [inner, outer] as const
    connections.add(connection)
    for (const [from, to] of [connection, [outer, inner] as const]) {
      from.on('error', () => undefined)
      from.on('close', () => {
        to.destroy()
        connections.delete(connection)
      })
      from.pipe(to)
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    accepted: () => accepted,
    received: () => received,
    goDead(fresh) {
      isRefusing = fresh === 'refuse'
      for (const [inner, outer] of connections) {
        inner.unpipe(outer)
        outer.unpipe(inner)
        // Reads and discards data, so that no side notices a full buffer or a reset.
        inner.resume()
        outer.resume()
      }
    },
    heal() {
      isRefusing = false
    },
    retarget(port) {
      targetPort = port
    },
    cut() {
      for (const [inner] of connections) inner.destroy()
    },
    async stop() {
      for (const [inner, outer] of connections) {
        inner.destroy()
        outer.destroy()
      }
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
