// A listening TCP port.

import { createServer, type Server, type Socket } from 'node:net'
import { type Endpoint, type Family, makeEndpoint } from '../../base/endpoint.ts'
import { bindProblem } from '../bind-errors.ts'

type TcpListenerOptions = {
  readonly family: Family
  /** Default: all addresses of the family. */
  readonly address?: string
  /** Default: any free port. */
  readonly port?: number
  /** The socket already has an error listener. */
  readonly onConnection: (socket: Socket, from: Endpoint) => void
}

export interface TcpListener {
  /** As bound; the address is `0.0.0.0` or `::` when bound to all. */
  readonly local: Endpoint
  /** Accepts no more connections; existing ones stay open. */
  close(): void
}

/** Rejects with a Problem (`port-taken` or `network`). */
export async function openTcpListener(options: TcpListenerOptions): Promise<TcpListener> {
  const { family, port = 0, onConnection } = options
  const address = options.address ?? (family === 4 ? '0.0.0.0' : '::')
  const server = createServer({ noDelay: true, allowHalfOpen: false }, (socket) => {
    // Without a listener a broken connection would end the process.
    socket.on('error', () => {})
    const from = makeEndpoint(socket.remoteAddress ?? '', socket.remotePort ?? 0)
    if (from) onConnection(socket, from)
    else socket.destroy()
  })
  await new Promise<void>((resolve, reject) => {
    const fail = (error: NodeJS.ErrnoException) => reject(bindProblem(error, 'TCP', { address, port }))
    server.once('error', fail)
    server.listen({ host: address, port, ipv6Only: family === 6, exclusive: true }, () => {
      server.off('error', fail)
      // For example too many open files: the client can try again.
      server.on('error', () => {})
      resolve()
    })
  })
  return { local: { address, port: portOf(server) }, close: () => server.close() }
}

function portOf(server: Server): number {
  const bound = server.address()
  return typeof bound === 'object' && bound !== null ? bound.port : 0
}
