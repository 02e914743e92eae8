// What the agent's network is made with: the operating system's part, the settings, and who is told.

import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import type { Endpoint } from '../../base/endpoint.ts'
import type { NatProfile } from '../../base/nat-profile.ts'
import type { NatView } from '../../nat/nat-prober.ts'
import { hostEndpoints } from '../../net/network-interfaces.ts'
import type { PortMapper, PortMappingOptions } from '../../net/portmap/port-mapper.ts'
import { resolveServers } from '../../net/resolve-stun-servers.ts'
import { openUdpSocket } from '../../net/udp/udp-socket.ts'
import { systemTcp, type TcpIo, type TcpTransportOptions } from './tcp-transport.ts'

/** What the operating system does for us; tests have their own. */
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

export type NetworkOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly io: NetworkIo
  /** 0 for any. */
  readonly port: number
  readonly stunServers: readonly string[]
  readonly keepaliveMs: number
  /** Entered by hand (D9): counts more than what is found out. */
  readonly knownNat?: Partial<NatProfile>
  /** Whether the router is asked to open a port. */
  readonly portMapping: boolean
  /** The first verdict, every later one that differs, and the first one in another network. */
  readonly onView: (view: NatView, first: boolean) => void
  /** We are in another network, or have slept: what is known may not hold any more; `onView` follows. */
  readonly onMoved?: () => void
  /** Whatever is not STUN. */
  readonly onPacket: (bytes: Uint8Array, from: Endpoint) => void
  /** A peer calls by TCP; see `PacketPortOptions`. No TCP when left out. */
  readonly onCall?: TcpTransportOptions['onCall']
  /** The router opened or closed a port after `open` had resolved. */
  readonly onNews: () => void
  /** One sentence: a server whose name could not be resolved, or what the router did. */
  readonly onNotice: (notice: string) => void
}
