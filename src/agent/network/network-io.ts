// The functions of the operating system that the agent's network uses.

import type { Endpoint } from '../../base/endpoint.ts'
import { hostEndpoints } from '../../net/network-interfaces.ts'
import type { PortMapper, PortMappingOptions } from '../../net/portmap/port-mapper.ts'
import { resolveServers } from '../../net/resolve-stun-servers.ts'
import { openUdpSocket } from '../../net/udp/udp-socket.ts'
import { systemTcp, type TcpIo } from './tcp-transport.ts'

/** Tests replace it. */
export type NetworkIo = {
  readonly openUdpSocket: typeof openUdpSocket
  readonly hostEndpoints: (sockets: readonly Endpoint[]) => readonly Endpoint[]
  readonly resolveServers: typeof resolveServers
  /** Left out when there is no router to ask. */
  readonly mapPort?: (options: PortMappingOptions) => Promise<PortMapper>
  /** Left out when there is no TCP. */
  readonly tcp?: TcpIo
  /** Interval between checks of our own addresses. Without it they are not checked again. */
  readonly addressCheckMs?: number
}

export const systemNetwork: NetworkIo = {
  openUdpSocket,
  hostEndpoints: (sockets) => hostEndpoints(sockets),
  resolveServers,
  mapPort: async (options) => (await import('../../net/portmap/port-mapper.ts')).mapPort(options),
  tcp: systemTcp,
  addressCheckMs: 2_000,
}
