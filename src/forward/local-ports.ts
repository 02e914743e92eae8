// Opens the local ports of forwards on both loopback addresses, because some programs resolve `localhost` to 127.0.0.1
// and others to ::1.

import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket as TcpSocket } from 'node:net'
import { messageOf, Problem } from '../base/problem.ts'
import type { Forward } from './forward-types.ts'

export const loopbacks = [
  { family: 4, address: '127.0.0.1' },
  { family: 6, address: '::1' },
] as const

/** Opens the port of the forward on 127.0.0.1 and, if the computer has IPv6, on ::1. Rejects with a Problem. */
export async function openOnBothLoopbacks<Port extends { close(): void }>(
  forward: Forward,
  open: (loopback: (typeof loopbacks)[number]) => Promise<Port>,
): Promise<Port[]> {
  const ports: Port[] = []
  for (const loopback of loopbacks) {
    try {
      ports.push(await open(loopback))
    } catch (thrown) {
      const { code } = thrown as NodeJS.ErrnoException
      // Many computers have no IPv6.
      if (loopback.family === 6 && (code === 'EADDRNOTAVAIL' || code === 'EAFNOSUPPORT')) continue
      for (const port of ports) port.close()
      throw problemOf(forward, code, thrown)
    }
  }
  return ports
}

export async function openUdpPort(
  { family, address }: (typeof loopbacks)[number],
  port: number,
): Promise<UdpSocket> {
  const socket = createSocket({ type: family === 4 ? 'udp4' : 'udp6', lookup: lookupLiteral })
  await new Promise<void>((resolve, reject) => {
    socket.once('error', (error) => {
      socket.close()
      reject(error)
    })
    socket.bind({ address, port, exclusive: true }, resolve)
  })
  socket.removeAllListeners('error')
  return socket
}

export async function openTcpPort(
  { address }: (typeof loopbacks)[number],
  port: number,
  onClient: (client: TcpSocket) => void,
): Promise<Server> {
  const server = createServer({ allowHalfOpen: true }, onClient)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen({ host: address, port, exclusive: true }, resolve)
  })
  server.removeAllListeners('error')
  // With too many open files a client is not accepted, but the other clients must go on.
  server.on('error', () => {})
  return server
}

/** A lookup function for literal addresses. Node would call its resolver for each datagram otherwise. */
export function lookupLiteral(
  hostname: string,
  _options: unknown,
  done: (error: null, address: string, family: number) => void,
): void {
  done(null, hostname, hostname.includes(':') ? 6 : 4)
}

function problemOf(forward: Forward, code: string | undefined, cause: unknown): Problem {
  const { protocol, localPort, nick, port } = forward
  const option = (local: number) => `--forward ${protocol}:${local}=${nick}:${port}`
  const name = `${protocol.toUpperCase()} port ${localPort}`
  switch (code) {
    case 'EADDRINUSE':
      return new Problem(
        'port-taken',
        `Local ${name} for ${option(localPort)} is in use by another program.`,
        `Stop that program or choose another local port, such as ${option(otherPort(localPort))}.`,
        { cause },
      )
    case 'EACCES':
      return new Problem(
        'network',
        `This user may not open local ${name} for ${option(localPort)}.`,
        `Choose a port of 1024 or higher, such as ${option(localPort < 1024 ? localPort + 10_000 : localPort)}.`,
        { cause },
      )
    default:
      return new Problem(
        'network',
        `Local ${name} for ${option(localPort)} could not be opened: ${messageOf(cause)}.`,
        'Check the network settings, and `ulimit -n` when too many files are open.',
        { cause },
      )
  }
}

function otherPort(port: number): number {
  return port < 65535 ? port + 1 : port - 1
}
