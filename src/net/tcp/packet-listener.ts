// A TCP port where peers may call. A caller has a few seconds to bring one packet that somebody here takes for authentic;
// until then nothing is said, and afterwards the connection belongs to whoever took it.

import type { Clock } from '../../base/clock.ts'
import type { Endpoint, Family } from '../../base/endpoint.ts'
import { ConnectionLimit, type ConnectionLimits, type LimitedConnection } from './connection-limit.ts'
import { PacketConnection } from './packet-connection.ts'
import { openTcpListener } from './tcp-listener.ts'

/** Callers that have not brought anything yet. */
export const waitingLimits: ConnectionLimits = { total: 64, perSource: 8 }
export const mostWaitingMs = 5_000

type PacketListenerOptions = {
  readonly clock: Clock
  readonly family: Family
  /** Default: any free port. */
  readonly port?: number
  /** Whether it was taken, with the first packet; its handlers are then whoever took it's own. */
  readonly onFirstPacket: (connection: PacketConnection, packet: Uint8Array) => boolean
}

export interface PacketListener {
  readonly local: Endpoint
  /** Connections that were taken stay. */
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
      const cancel = clock.after(mostWaitingMs, pending.close)
      const leave = () => {
        cancel()
        waiting.leave(pending)
      }
      socket.once('close', leave)
      const connection = new PacketConnection(socket, from, {
        onPacket: (packet) => {
          leave()
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
