// Resolves the names of STUN servers to endpoints.

import { lookup as systemLookup } from 'node:dns/promises'
import { distinctEndpoints, type Endpoint, type Family, familyOf, makeEndpoint } from '../base/endpoint.ts'
import { messageOf } from '../base/problem.ts'
import { stunPort } from '../nat/stun-message.ts'

type ResolvedServers = {
  /** Distinct, in the given order; one endpoint per name and family. */
  readonly endpoints: readonly Endpoint[]
  /** One sentence per server that failed; not fatal. */
  readonly failures: readonly { readonly server: string; readonly reason: string }[]
}

type ResolveOptions = {
  /** The families of our sockets. */
  readonly families: readonly Family[]
  readonly timeoutMs?: number
  /** Returns the addresses of a host name; replaced in tests. */
  readonly lookup?: (hostname: string) => Promise<readonly string[]>
}

/** Further servers are reported as failures. */
const maxServers = 16

/** `servers`: `host:port`, `1.2.3.4:port` or `[::1]:port`; default port 3478. Never rejects. */
export async function resolveServers(
  servers: readonly string[],
  options: ResolveOptions,
): Promise<ResolvedServers> {
  const failures: { server: string; reason: string }[] = []
  const resolved = await Promise.all(
    servers.map(async (server, index) => {
      try {
        if (index >= maxServers) throw new Error(`Only the first ${maxServers} STUN servers are used.`)
        return await resolveServer(server, options)
      } catch (error) {
        failures.push({ server, reason: messageOf(error) })
        return []
      }
    }),
  )
  return { endpoints: distinctEndpoints(resolved.flat()), failures }
}

/** The host name or address (IPv6 without brackets) and port of a server; null when malformed. */
export function parseServer(server: string): { readonly host: string; readonly port: number } | null {
  const match = /^(?:\[([^\]]+)\]|([^:[\]\s]+))(?::([0-9]{1,5}))?$/.exec(server)
  const host = match?.[1] ?? match?.[2]
  const port = Number(match?.[3] ?? stunPort)
  return host === undefined || port < 1 || port > 65535 ? null : { host, port }
}

async function resolveServer(server: string, options: ResolveOptions): Promise<Endpoint[]> {
  const parsed = parseServer(server)
  if (parsed === null) {
    throw new Error(`"${server.slice(0, 80)}" is not a server; write it as stun.example.org:3478.`)
  }
  const { host, port } = parsed
  const literal = makeEndpoint(host, port)
  const addresses = literal
    ? [literal.address]
    : await withTimeout(options.lookup ?? lookupAll, host, options.timeoutMs ?? 3_000)
  const endpoints = addresses.flatMap((address) => makeEndpoint(address, port) ?? [])
  const chosen = options.families.flatMap(
    (family) => endpoints.find(({ address }) => familyOf(address) === family) ?? [],
  )
  if (chosen.length === 0) {
    throw new Error(`${host} has no IPv${options.families.join(' or IPv')} address.`)
  }
  return chosen
}

async function lookupAll(hostname: string): Promise<readonly string[]> {
  return (await systemLookup(hostname, { all: true })).map(({ address }) => address)
}

async function withTimeout(
  lookup: (hostname: string) => Promise<readonly string[]>,
  host: string,
  timeoutMs: number,
): Promise<readonly string[]> {
  let timer: NodeJS.Timeout | undefined
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(
      () => reject(new Error(`The name ${host} could not be looked up within ${timeoutMs / 1000} s.`)),
      timeoutMs,
    )
  })
  try {
    return await Promise.race([lookup(host), late])
  } finally {
    clearTimeout(timer)
  }
}
