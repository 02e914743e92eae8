// A TCP port for incoming connections of peers. A new connection must send one authentic packet within a few
// seconds. Before that nothing is sent. Then the connection belongs to its owner.

import type { Clock } from '../../base/clock.ts'
import type { Endpoint, Family } from '../../base/endpoint.ts'
import { ConnectionLimit, type ConnectionLimits, type LimitedConnection } from './connection-limit.ts'
import { PacketConnection } from './packet-connection.ts'
import { openTcpListener } from './tcp-listener.ts'

/** Limits of connections without an authentic packet. */
export const waitingLimits: ConnectionLimits = { total: 64, perSource: 8 }
export const maxWaitingMs = 5_000

type PacketListenerOptions = {
  readonly clock: Clock
  readonly family: Family
  /** Default: any free port. */
  readonly port?: number
  /**
   * Returns whether an owner accepts the connection with its first packet. The owner then sets its own
   * handlers.
   */
  readonly onFirstPacket: (connection: PacketConnection, packet: Uint8Array) => boolean
}

export interface PacketListener {
  readonly local: Endpoint
  /** Accepted connections stay open. */
  close(): void
}

/** Rejects with a Problem (`port-taken` or `network`). */
export async function openPacketListener(options: PacketListenerOptions): Promise<PacketListener> {
  const { clock, family, port, onFirstPacket } = options
  const waiting = new ConnectionLimit(waitingLimits)
  const listener = await openTcpListener({
    family,
    ...(port !== undefined && { port }),
    onConnection: (socket, from) => {
      const pending: LimitedConnection = { from, close: () => socket.destroy() }
      if (!waiting.admit(pending)) {
        socket.destroy()
        return
      }
      const cancel = clock.after(maxWaitingMs, pending.close)
      const stopWaiting = () => {
        cancel()
        waiting.remove(pending)
      }
      socket.once('close', stopWaiting)
      const connection = new PacketConnection(socket, from, {
        onPacket: (packet) => {
          stopWaiting()
          if (!onFirstPacket(connection, packet)) connection.close()
        },
        onClose: () => {},
      })
    },
  })
  return {
    local: listener.local,
    close: () => {
      listener.close()
      waiting.closeAll()
    },
  }
}
