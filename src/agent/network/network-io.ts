// What the operating system does for the agent's network.

import type { Endpoint } from '../../base/endpoint.ts'
import { hostEndpoints } from '../../net/network-interfaces.ts'
import type { PortMapper, PortMappingOptions } from '../../net/portmap/port-mapper.ts'
import { resolveServers } from '../../net/resolve-stun-servers.ts'
import { openUdpSocket } from '../../net/udp/udp-socket.ts'
import { systemTcp, type TcpIo } from './tcp-transport.ts'

/** Tests have their own. */
export type NetworkIo = {
  readonly openUdpSocket: typeof openUdpSocket
  readonly hostEndpoints: (sockets: readonly Endpoint[]) => readonly Endpoint[]
  readonly resolveServers: typeof resolveServers
  /** Left out where there is no router to ask. */
  readonly mapPort?: (options: PortMappingOptions) => Promise<PortMapper>
  /** Left out where there is no TCP. */
  readonly tcp?: TcpIo
  /** Between two looks at our own addresses; they are not looked at again when left out. */
  readonly lookMs?: number
}

export const systemNetwork: NetworkIo = {
  openUdpSocket,
  hostEndpoints: (sockets) => hostEndpoints(sockets),
  resolveServers,
  mapPort: async (options) => (await import('../../net/portmap/port-mapper.ts')).mapPort(options),
  tcp: systemTcp,
  lookMs: 2_000,
}
