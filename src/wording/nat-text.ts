// The text of `peerpost nat`: the kind of NAT, who can be reached, and what would help.

import { addressScope, type Candidate, type Endpoint, familyOf, formatEndpoint } from '../base/endpoint.ts'
import type { Allocation, Filtering, NatProfile } from '../base/nat-profile.ts'
import { isSeenFromOutside, type Layers } from '../nat/nat-layers.ts'
import type { NatView } from '../nat/nat-prober.ts'
import type { PortMapping } from '../net/portmap/port-mapper.ts'
import { type Plan, plan } from '../punch/punch-plan.ts'
import { describeNat } from './event-text.ts'
import { seconds } from './numbers-text.ts'

export type NatFacts = {
  readonly view: NatView
  /** IPv6 endpoints, as servers see them. */
  readonly six: readonly Endpoint[]
  readonly local: readonly Endpoint[]
  readonly mapping: PortMapping | null
  readonly layers: Layers
}

/** The plan for connecting to a kind of peer; `none` when it cannot be reached. */
export type Reach = { readonly peer: string; readonly words: string; readonly plan: Plan['strategy'] }

const nat = (mapping: NatProfile['mapping'], filtering: Filtering, allocation: Allocation): NatProfile => ({
  mapping,
  filtering,
  allocation,
})
const preserving: Allocation = { type: 'preserving' }
const sequential: Allocation = { type: 'sequential', step: 1 }

/** Seven kinds that stand for the NATs in the field. */
const peers: readonly { readonly peer: string; readonly words: string; readonly nat: NatProfile }[] = [
  { peer: 'none', words: 'players without a NAT', nat: nat('none', 'EIF', preserving) },
  {
    peer: 'EIM+EIF',
    words: 'those whose router accepts packets from everybody',
    nat: nat('EIM', 'EIF', preserving),
  },
  {
    peer: 'EIM+ADF',
    words: 'those whose router accepts packets from known addresses',
    nat: nat('EIM', 'ADF', preserving),
  },
  { peer: 'EIM+APDF', words: 'those with a usual home router', nat: nat('EIM', 'APDF', preserving) },
  {
    peer: 'ADM+ADF sequential',
    words: 'those whose router counts up a port for each address',
    nat: nat('ADM', 'ADF', sequential),
  },
  {
    peer: 'APDM+APDF sequential',
    words: 'those whose router counts up a port for each destination',
    nat: nat('APDM', 'APDF', sequential),
  },
  {
    peer: 'APDM+APDF random',
    words: 'those whose router draws a random port for each destination (many mobile networks)',
    nat: nat('APDM', 'APDF', { type: 'random' }),
  },
]

/** Addresses of RFC 2544 that stand for public addresses. */
const [ourPlaceholder, theirPlaceholder] = ['198.18.0.98', '198.18.0.99']

/** Which kinds of peers we can reach over IPv4 now, with the port that the router has opened, if any. */
export function reachOf({ view, mapping }: NatFacts): Reach[] {
  const seen = view.publicEndpoints.filter(({ address }) => familyOf(address) === 4)
  if (seen.length === 0) return []
  // A server in the local network sees an address that is not public. The kind of NAT is the same.
  const isPublic = isSeenFromOutside(seen)
  const candidates: Candidate[] = seen.map((endpoint) => ({
    kind: 'server-reflexive',
    endpoint: isPublic ? endpoint : { ...endpoint, address: ourPlaceholder },
  }))
  if (mapping && addressScope(mapping.external.address) === 'public') {
    candidates.push({ kind: 'port-mapped', endpoint: mapping.external })
  }
  return peers.map(({ peer, words, nat: profile }) => {
    const theirs: Candidate = {
      kind: 'server-reflexive',
      endpoint: { address: theirPlaceholder, port: 40_000 },
    }
    const verdict = plan(
      { nat: view.profile, candidates },
      { nat: profile, candidates: [theirs], sameNat: false },
    )
    return { peer, words, plan: verdict.strategy }
  })
}

export function natText(facts: NatFacts): string[] {
  const { view, local } = facts
  return [
    ...natWordsOf(facts),
    ...view.observations.map(
      ({ server, mapped }) => `  ${formatEndpoint(server)} sees ${formatEndpoint(mapped)}`,
    ),
    ...(local.length > 0 ? [`  our own: ${local.map(formatEndpoint).join(', ')}`] : []),
  ]
}

/** The text without the address that each server saw. Lines that begin with two spaces belong to the line before. */
export function natWordsOf(facts: NatFacts): string[] {
  const { view, six, layers, mapping } = facts
  const { profile } = view
  const reach = reachOf(facts)
  return [
    describeNat(profile, view.publicEndpoints.map(formatEndpoint), isSeenFromOutside(view.publicEndpoints)),
    ...withoutNulls(
      filterWords(profile),
      allocationWords(profile),
      hairpinWords(view),
      lifetimeWords(profile),
    ),
    ...withoutNulls(layerWords[layers], ipv6Words(six), routerWords(mapping)),
    ...reachWords(reach),
    ...adviceFor(facts, reach),
  ]
}

function withoutNulls(...lines: readonly (string | null | undefined)[]): string[] {
  return lines.filter((line): line is string => typeof line === 'string')
}

function filterWords({ mapping, filtering }: NatProfile): string | null {
  const subject = mapping === 'none' ? 'There is no firewall, or it' : 'It'
  switch (filtering) {
    case 'EIF':
      return `${subject} accepts packets from everybody at an open port (endpoint-independent filtering).`
    case 'ADF':
      return `${mapping === 'none' ? 'A firewall' : 'It'} accepts packets only from addresses that we sent to (address-dependent filtering).`
    case 'APDF':
      return `${mapping === 'none' ? 'A firewall' : 'It'} accepts packets only from addresses and ports that we sent to (address and port-dependent filtering).`
    case 'unknown':
      return mapping === 'unknown' ? null : 'No server could test its filtering.'
  }
}

function allocationWords({ mapping, allocation }: NatProfile): string | null {
  if (mapping === 'none' || mapping === 'EIM') return null
  const block =
    'block' in allocation && allocation.block
      ? ` out of ${allocation.block.first} to ${allocation.block.last}`
      : ''
  switch (allocation.type) {
    case 'sequential':
      return `Its ports follow each other in steps of ${allocation.step}${block}, so they can be predicted for a short time.`
    case 'random':
      return `It chooses ports at random${block}${block ? ', which are few enough to search' : ''}.`
    default:
      return null
  }
}

function hairpinWords({ hairpins }: NatView): string | null {
  if (hairpins === undefined) return null
  return hairpins
    ? 'Two behind it also reach each other at their public addresses (hairpinning).'
    : 'Two behind it reach each other only inside the local network (no hairpinning).'
}

function lifetimeWords({ lifetimeMs }: NatProfile): string | null {
  return lifetimeMs === undefined
    ? null
    : `A port stays open for at least ${seconds(lifetimeMs)} without traffic.`
}

const layerWords: Readonly<Record<Layers, string | null>> = {
  none: null,
  one: null,
  unknown: null,
  double: 'There are two NATs, one behind the other: the router has no public address itself.',
  carrier: 'The provider shares public addresses among its customers (carrier-grade NAT).',
}

const isOutside = ({ address }: Endpoint) => addressScope(address) === 'public'

function ipv6Words(six: readonly Endpoint[]): string {
  const [first] = six.filter(isOutside)
  return first ? `IPv6 works: ${first.address}.` : 'There is no IPv6.'
}

function routerWords(mapping: PortMapping | null): string | null {
  if (!mapping) return null
  return addressScope(mapping.external.address) === 'public'
    ? `The router opens ports when asked (${mapping.language}), so everybody can be reached.`
    : `The router opens ports when asked (${mapping.language}), but only towards another NAT.`
}

function reachWords(reach: readonly Reach[]): string[] {
  const group = (title: string, fits: (plan: Plan['strategy']) => boolean) => {
    const members = reach.filter(({ plan: strategy }) => fits(strategy))
    if (members.length === 0) return []
    return [`${title}:`, ...members.map(({ words }) => `  - ${words}`)]
  }
  return [
    ...group('Reached directly', (strategy) => strategy === 'direct'),
    ...group(
      'Reached after a search for ports, in seconds to minutes',
      (strategy) => strategy !== 'direct' && strategy !== 'none',
    ),
    ...group('Not reached, unless they open a port or both have IPv6', (strategy) => strategy === 'none'),
  ]
}

function adviceFor({ layers, six, mapping }: NatFacts, reach: readonly Reach[]): string[] {
  if (reach.every(({ plan: strategy }) => strategy === 'direct')) return []
  const advice = [
    ...(layers === 'carrier'
      ? ['ask the provider for a public address of your own']
      : mapping
        ? ['make the outer router forward a UDP port, or bridge, so that only one NAT is left']
        : ['turn on UPnP or NAT-PMP in the router, or forward a UDP port to this computer ([network] port)']),
    ...(six.some(isOutside) ? [] : ['turn on IPv6, if the provider has it']),
    'join from another network',
  ]
  return ['What would help:', ...advice.map((line) => `  - ${line}`)]
}
