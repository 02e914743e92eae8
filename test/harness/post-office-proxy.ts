// A TCP proxy before a mail server whose line can go dead: both ends stay connected, nothing passes.

import { once } from 'node:events'
import { connect, createServer, type Socket } from 'node:net'

export type LineProxy = {
  readonly port: number
  /** Connections accepted so far. */
  readonly accepted: () => number
  /** Bytes that came from the server. */
  readonly received: () => number
  /** From now on nothing passes on the lines that are open; new ones are refused or pass as `fresh` says. */
  goDead(fresh: 'refuse' | 'pass'): void
  heal(): void
  /** New connections go to another server. */
  retarget(port: number): void
  /** Ends every open connection abruptly. */
  cut(): void
  stop(): Promise<void>
}

export async function startLineProxy(target: { readonly port: number }): Promise<LineProxy> {
  const lines = new Set<readonly [Socket, Socket]>()
  let accepted = 0
  let received = 0
  let refusing = false
  let targetPort = target.port
  const server = createServer((inner) => {
    if (refusing) return inner.destroy()
    accepted++
    const outer = connect(targetPort, '127.0.0.1')
    outer.on('data', (chunk) => {
      received += chunk.length
    })
    const line = [inner, outer] as const
    lines.add(line)
    for (const [from, to] of [line, [outer, inner] as const]) {
      from.on('error', () => undefined)
      from.on('close', () => {
        to.destroy()
        lines.delete(line)
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
      refusing = fresh === 'refuse'
      for (const [inner, outer] of lines) {
        inner.unpipe(outer)
        outer.unpipe(inner)
        // Read and throw away, so that no side notices by a full buffer or a reset.
        inner.resume()
        outer.resume()
      }
    },
    heal() {
      refusing = false
    },
    retarget(port) {
      targetPort = port
    },
    cut() {
      for (const [inner] of lines) inner.destroy()
    },
    async stop() {
      for (const [inner, outer] of lines) {
        inner.destroy()
        outer.destroy()
      }
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
