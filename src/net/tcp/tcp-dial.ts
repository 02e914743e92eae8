// Opens a TCP connection, possibly from a port that other connections of ours use. When both sides do so at the
// same time, the two attempts become one connection (RFC 9293 §3.5, simultaneous open): each NAT takes the
// other side's first packet for an answer to its own.

import { connect } from 'node:net'
import { type Endpoint, type Family, familyOf } from '../../base/endpoint.ts'
import { type ConnectionHandlers, PacketConnection } from './packet-connection.ts'
import { openTcpListener } from './tcp-listener.ts'

type DialOptions = {
  readonly to: Endpoint
  /**
   * Our own port; any by default. Node lets several connections share an explicitly bound port (SO_REUSEADDR),
   * but not with a listener.
   */
  readonly localPort?: number
  readonly handlers: ConnectionHandlers
  readonly onOpen: (connection: PacketConnection) => void
  /** Refused, unreachable, or the pair of endpoints is in use. */
  readonly onFailure: () => void
}

/** The returned function cancels an attempt that is not connected yet; no callback is called afterwards. */
export function dial({ to, localPort, handlers, onOpen, onFailure }: DialOptions): () => void {
  const local = localPort !== undefined && { localPort, localAddress: anyAddress[familyOf(to.address)] }
  const socket = connect({ host: to.address, port: to.port, noDelay: true, ...local })
  let isWaiting = true
  socket.once('error', () => {
    if (!isWaiting) return
    isWaiting = false
    socket.destroy()
    onFailure()
  })
  socket.once('connect', () => {
    if (!isWaiting) return
    isWaiting = false
    onOpen(new PacketConnection(socket, to, handlers))
  })
  return () => {
    if (!isWaiting) return
    isWaiting = false
    socket.on('error', () => {})
    socket.destroy()
  }
}

export const anyAddress = { 4: '0.0.0.0', 6: '::' } as const satisfies Record<Family, string>

/** A port that is free at this moment. Rejects with a Problem. */
export async function freeTcpPort(family: Family): Promise<number> {
  const listener = await openTcpListener({ family, onConnection: (socket) => socket.destroy() })
  listener.close()
  return listener.local.port
}
