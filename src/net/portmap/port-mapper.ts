// Asks the router to open our port: by PCP or NAT-PMP, or by UPnP if it knows neither. Loaded when first
// needed. No failure here affects the agent.

import { viewOf } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { defaultRouters } from './default-routers.ts'
import { addressTowards, type Gateway, type PortProtocol } from './gateway.ts'
import { type PortMapping, RenewedMapping } from './mapping-renewal.ts'
import { PcpGateway } from './pcp-gateway.ts'
import { findUpnpGateway } from './upnp-gateway.ts'

export type { PortMapping } from './mapping-renewal.ts'

export type PortMappingOptions = {
  readonly clock: Clock
  readonly randomBytes: Crypto['randomBytes']
  /** Port of our IPv4 socket. */
  readonly port: number
  /** Default UDP. */
  readonly protocol?: PortProtocol
  readonly leaseMs?: number
  readonly onChange: (mapping: PortMapping | null) => void
}

export interface PortMapper {
  /** Resolves when the first request has ended, with or without a mapping; ten seconds at most. */
  readonly settled: Promise<void>
  /** Deletes the mapping; two seconds at most. */
  close(): Promise<void>
}

/** Starts requesting at once. */
export function mapPort(options: PortMappingOptions): PortMapper {
  const { clock, randomBytes, port, leaseMs, onChange, protocol = 'UDP' } = options
  return new RenewedMapping({
    clock,
    port,
    ...(leaseMs !== undefined && { leaseMs }),
    onChange,
    findGateways: (signal) => gatewaysOf(randomBytes, protocol, signal),
  })
}

/** The UPnP search runs while PCP is tried: a router without one may have the other. */
async function* gatewaysOf(
  randomBytes: Crypto['randomBytes'],
  protocol: PortProtocol,
  signal: AbortSignal,
): AsyncGenerator<Gateway> {
  const random = () => viewOf(randomBytes(4)).getUint32(0) / 2 ** 32
  for (const router of await defaultRouters(signal)) {
    const client = await addressTowards(router, signal)
    const search = new AbortController()
    const upnp = findUpnpGateway(
      { router, client, random, protocol },
      AbortSignal.any([signal, search.signal]),
    ).catch(() => null)
    try {
      yield new PcpGateway({ router, client, randomBytes, protocol })
      const found = await upnp
      if (found) yield found
    } finally {
      search.abort()
    }
  }
}
