// Checks the STUN servers, and the NAT that they show.

import type { Crypto } from '../../base/crypto.ts'
import { type Endpoint, equalEndpoints, type Family, familyOf } from '../../base/endpoint.ts'
import { isSeenFromOutside } from '../../nat/nat-layers.ts'
import type { NatView } from '../../nat/nat-prober.ts'
import { resolveServers } from '../../net/resolve-stun-servers.ts'
import { describeNat } from '../../wording/event-text.ts'
import { maskEndpoint } from '../../wording/mask-addresses.ts'
import { count } from '../../wording/numbers-text.ts'
import { openProbe } from '../probe-nat.ts'
import { type Finding, fault, ok, warning } from './findings.ts'

export type NetworkTarget = {
  readonly crypto: Crypto
  readonly servers: readonly string[]
  /** An agent needs to know its NAT; a host only passes the servers on. */
  readonly role: 'host' | 'agent'
}

export async function checkNetwork({ crypto, servers, role }: NetworkTarget): Promise<readonly Finding[]> {
  if (servers.length === 0) return []
  const resolved = await Promise.all(
    servers.map(async (name) => ({ name, ...(await resolveServers([name], { families: [4, 6] })) })),
  )
  const all = resolved.flatMap(({ endpoints }) => endpoints)
  const [four, six] = await Promise.all([probe(crypto, 4, all), probe(crypto, 6, all)])
  const answered = [...(four?.observations ?? []), ...(six?.observations ?? [])].map(({ server }) => server)
  const isAlive = ({ endpoints }: { readonly endpoints: readonly Endpoint[] }) =>
    endpoints.some((endpoint) => answered.some((other) => equalEndpoints(endpoint, other)))
  const silent = resolved.filter((server) => !isAlive(server)).map(({ name }) => name)
  const stun = stunFinding(servers, silent, role)
  const view = four ?? six
  if (role === 'host' || answered.length === 0 || !view) return [stun]
  return [stun, natFinding(view)]
}

/** Null when this computer does not have the address family, or no server has it. */
async function probe(crypto: Crypto, family: Family, servers: readonly Endpoint[]): Promise<NatView | null> {
  if (!servers.some(({ address }) => familyOf(address) === family)) return null
  const open = await openProbe({ crypto, family, servers, backgroundTests: [] }).catch(() => null)
  if (!open) return null
  try {
    return await open.verdict
  } finally {
    await open.close()
  }
}

function stunFinding(
  servers: readonly string[],
  silent: readonly string[],
  role: NetworkTarget['role'],
): Finding {
  const names = silent.join(', ')
  const setting = role === 'host' ? '[stun] servers, and give out new invites' : '[stun] servers'
  if (silent.length === servers.length) {
    return fault(
      'stun',
      `No STUN server answers (${names}): without one only players in the local network can be reached.`,
      `Check that UDP is let out; if it is, name others in ${setting}.`,
    )
  }
  if (silent.length > 0) {
    return warning('stun', `These STUN servers do not answer: ${names}.`, `Name others in ${setting}.`)
  }
  const answer = servers.length === 1 ? 'answers' : 'answer'
  return ok('stun', `${count(servers.length, 'STUN server')} ${answer}: ${servers.join(', ')}.`)
}

function natFinding({ profile, publicEndpoints }: NatView): Finding {
  const isPublic = isSeenFromOutside(publicEndpoints)
  const words = describeNat(profile, publicEndpoints.map(maskEndpoint), isPublic)
  if (profile.mapping === 'none' && !isPublic) {
    return warning(
      'nat',
      words,
      'Unless all players are in this network, name STUN servers outside it in [stun] servers.',
    )
  }
  if (profile.mapping === 'none' || profile.mapping === 'EIM') return ok('nat', words)
  return warning(
    'nat',
    words,
    profile.mapping === 'unknown'
      ? 'Name two servers on different networks in [stun] servers.'
      : '`peerpost nat` shows who can be reached and what would help.',
  )
}
