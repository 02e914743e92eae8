// What every way of asking a router for a port has in common.

import { createSocket } from 'node:dgram'
import type { Endpoint } from '../../base/endpoint.ts'

export type PortProtocol = 'UDP' | 'TCP'

export type MappingRequest = {
  /** Ours. */
  readonly internalPort: number
  /** Outside; the router may give another. */
  readonly externalPort: number
  readonly leaseMs: number
}

export type Granted = {
  readonly external: Endpoint
  /** The router forgets the mapping then, unless it is renewed. */
  readonly lifetimeMs: number
}

/** One router, asked in one language for ports of one protocol. Every promise rejects when it takes too long, or when `signal` says so. */
export interface Gateway {
  readonly language: 'PCP' | 'NAT-PMP' | 'UPnP'
  /** Where it is asked. */
  readonly router: string
  /** Makes the mapping, or renews it. */
  map(request: MappingRequest, signal: AbortSignal): Promise<Granted>
  unmap(granted: Granted, internalPort: number, signal: AbortSignal): Promise<void>
}

/** Our own address on the network the router is in: what the system would send from. */
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
