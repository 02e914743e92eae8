// Our own addresses: the host candidates.

import { type NetworkInterfaceInfo, networkInterfaces } from 'node:os'
import type { Endpoint } from '../base/endpoint.ts'

export type Interfaces = NodeJS.Dict<NetworkInterfaceInfo[]>

/** Where our sockets can be reached on the networks we are part of: at most 8, no loopback unless there is nothing else. */
export function hostEndpoints(
  _sockets: readonly Endpoint[],
  _interfaces: Interfaces = networkInterfaces(),
): Endpoint[] {
  throw new Error('not built yet')
}
