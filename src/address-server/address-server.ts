// The address server: tells a client where its packet came from, and keeps nothing (mission C1).

import type { Endpoint } from '../base/endpoint.ts'

export interface AddressServer {
  readonly endpoints: readonly Endpoint[]
  close(): Promise<void>
}

/** Port 0 means any. Rejects with a Problem when one of them cannot be had. */
export function startAddressServer(_options: {
  readonly listen: readonly Endpoint[]
}): Promise<AddressServer> {
  throw new Error('not built yet')
}
