// The common interface of all port mapping protocols.

import { createSocket } from 'node:dgram'
import type { Endpoint } from '../../base/endpoint.ts'

export type PortProtocol = 'UDP' | 'TCP'

export type MappingRequest = {
  /** Our own port. */
  readonly internalPort: number
  /** The wanted port of the router; the router may give another. */
  readonly externalPort: number
  readonly leaseMs: number
}

export type Granted = {
  readonly external: Endpoint
  /** After so long the router deletes the mapping unless it is renewed. */
  readonly lifetimeMs: number
}

/**
 * One router, used by one protocol, for ports of one transport. Every promise rejects when it takes too long or
 * when `signal` aborts.
 */
export interface Gateway {
  readonly language: 'PCP' | 'NAT-PMP' | 'UPnP'
  /** Address of the router. */
  readonly router: string
  /** Creates or renews the mapping. */
  map(request: MappingRequest, signal: AbortSignal): Promise<Granted>
  unmap(granted: Granted, internalPort: number, signal: AbortSignal): Promise<void>
}

/** Our own address on the router's network: the source address that the system would use. */
export async function addressTowards(router: string, signal: AbortSignal): Promise<string> {
  const socket = createSocket('udp4')
  try {
    await new Promise<void>((resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true })
      socket.once('error', reject)
      // No packet is sent; the port does not matter.
      socket.connect(9, router, resolve)
    })
    return socket.address().address
  } finally {
    socket.close()
  }
}
