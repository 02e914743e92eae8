// Names of STUN servers to endpoints.

import type { Endpoint, Family } from '../base/endpoint.ts'

export type ResolvedServers = {
  /** Distinct, in the order given. */
  readonly endpoints: readonly Endpoint[]
  /** One sentence each; not fatal. */
  readonly failures: readonly { readonly server: string; readonly reason: string }[]
}

export type ResolveOptions = {
  /** Families we have sockets for. */
  readonly families: readonly Family[]
  readonly timeoutMs?: number
}

/** `servers`: `host:port`, `1.2.3.4:port`, `[::1]:port`; the port may be left out (3478). */
export function resolveServers(
  _servers: readonly string[],
  _options: ResolveOptions,
): Promise<ResolvedServers> {
  throw new Error('not built yet')
}
