// What an agent knows and does, for whoever watches it.

import type { Candidate } from '../base/endpoint.ts'
import type { NatView } from '../nat/nat-prober.ts'
import type { PortMapping } from '../net/portmap/port-mapper.ts'
import type { Network } from './network/network.ts'
import type { Connector } from './peers/connector.ts'
import type { QualityReport } from './peers/link-quality.ts'
import type { PeerList, PeerListEntry } from './peers/peer-list.ts'

export type AgentReport = {
  readonly nat: NatView
  readonly candidates: readonly Candidate[]
  /** The port that the router opened, if it did. */
  readonly mapping: PortMapping | null
  readonly peers: readonly (PeerListEntry & { readonly quality: QualityReport | null })[]
}

export function reportOn(network: Network, connector: Connector, peerList: PeerList): AgentReport {
  const { view, candidates, portMapping } = network
  const peers = peerList.entries.map((entry) => ({ ...entry, quality: connector.qualityWith(entry.id) }))
  return { nat: view, candidates, mapping: portMapping, peers }
}
