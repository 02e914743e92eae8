// A UDP socket as the rest of the product sees it.

import type { Endpoint, Family } from '../base/endpoint.ts'

export type UdpStats = {
  readonly sent: number
  readonly received: number
  readonly sendFailures: number
  /** Too big, from an address we cannot answer, or more waiting than the bound. */
  readonly dropped: number
  /** Code of the last failure to send, such as `ENETUNREACH`. */
  readonly lastFailure?: string
}

export interface UdpSocket {
  readonly family: Family
  /** As bound; the address is `0.0.0.0` or `::` when bound to all. */
  readonly local: Endpoint
  /** Never throws; failures are counted. Datagrams of the other family are dropped. */
  send(bytes: Uint8Array, to: Endpoint): void
  stats(): UdpStats
  close(): Promise<void>
}

export type UdpOptions = {
  readonly family: Family
  /** Default: all addresses of the family. */
  readonly address?: string
  /** Default: any free port. */
  readonly port?: number
  /** `bytes` belongs to the callee. */
  readonly onDatagram: (bytes: Uint8Array, from: Endpoint) => void
}

/** Rejects with a Problem (`port-taken` or `network`). */
export function openUdpSocket(_options: UdpOptions): Promise<UdpSocket> {
  throw new Error('not built yet')
}
