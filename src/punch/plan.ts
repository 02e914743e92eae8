// Decides from two NAT profiles how a pair is to be punched, or why it cannot be (design §6). Both sides
// reach the same verdict from the same facts; there are no roles.

import { addressScope, type Candidate, type Family, familyOf, formatEndpoint } from '../base/endpoint.ts'
import type { NatProfile } from '../base/nat-profile.ts'
import { isUsable, maxHostTargets, maxTargets, rankOf } from './targets.ts'

export type Plan =
  | {
      readonly strategy: 'direct'
      /** Packets this side may send in the whole attempt, answers included. */
      readonly budget: number
      /** After so long without a path it has failed. */
      readonly attemptMs: number
      /** Where to send checks, best first; empty when the peer must come to us. */
      readonly targets: readonly Candidate[]
    }
  | {
      readonly strategy: 'none'
      /** A sentence a person understands. */
      readonly reason: string
      /** What the person can do about it. */
      readonly advice: string
    }

/** `candidates` of ours: all we have, host candidates too. Theirs: as reply or introduction brought them. */
export type PlanSide = { readonly nat: NatProfile; readonly candidates: readonly Candidate[] }

export const directBudget = 60
const directAttemptMs = 120_000
/** Of a longer list of candidates the rest is not looked at. */
const maxConsidered = 64

const openOneRouter =
  'On one of the two routers turn on UPnP or forward a UDP port to the agent, use IPv6, or join from another network.'

export function plan(mine: PlanSide, theirs: PlanSide & { readonly sameNat: boolean }): Plan {
  const { sameNat } = theirs
  const targets = usableCandidates(theirs.candidates, mine.candidates, sameNat)
  const offered = usableCandidates(mine.candidates, theirs.candidates, sameNat)
  const direct = (chosen: readonly Candidate[]): Plan => ({
    strategy: 'direct',
    budget: directBudget,
    attemptMs: directAttemptMs,
    targets: chosen,
  })

  if (targets.length === 0 && offered.length === 0) {
    return none(
      'Neither side has an address the other could use.',
      'Name a STUN server that answers, and check that UDP is not blocked.',
    )
  }
  if (targets.length === 0 || offered.length === 0) {
    // The side with an address must let the other in uncalled, for it can call nobody.
    return letsStrangersIn(targets.length === 0 ? mine : theirs)
      ? direct(targets)
      : none(
          `${targets.length === 0 ? 'The peer' : 'This side'} has no address that the other could send to.`,
          'Name a STUN server that answers, and check that UDP is not blocked there.',
        )
  }

  const obstacle = obstacleOf(mine, theirs)
  if (obstacle === null) return direct(targets)
  // Inside one LAN, and over IPv6, the NATs for IPv4 do not matter.
  const goesAround = ({ kind, endpoint }: Candidate) =>
    (sameNat && kind === 'host') || isPublicSix(endpoint.address)
  const around = targets.filter(goesAround)
  return around.length > 0 && offered.some(goesAround) ? direct(around) : obstacle
}

function none(reason: string, advice: string): Plan & { strategy: 'none' } {
  return { strategy: 'none', reason, advice }
}

/** Why their NATs do not let the two meet at their public IPv4 endpoints; null when they may. */
function obstacleOf(mine: PlanSide, theirs: PlanSide): (Plan & { strategy: 'none' }) | null {
  const hardSides = [mine, theirs].filter(isHard)
  if (hardSides.length === 2) {
    return none(
      'Both routers use a different port for every destination, so neither side can tell the other where to send.',
      openOneRouter,
    )
  }
  const other = isHard(mine) ? theirs : mine
  if (hardSides.length === 1 && other.nat.filtering === 'APDF' && !letsStrangersIn(other)) {
    return none(
      'One router uses a different port for every destination, and the other lets in only ports it was told of.',
      openOneRouter,
    )
  }
  return null
}

/** Its public port towards a new peer is not the one the STUN servers saw. */
function isHard(side: PlanSide): boolean {
  return (side.nat.mapping === 'ADM' || side.nat.mapping === 'APDM') && !hasPortMapping(side)
}

/** Without a NAT a side counts as a full cone (mission D8). */
function letsStrangersIn(side: PlanSide): boolean {
  const { mapping, filtering } = side.nat
  return mapping === 'none' || (mapping === 'EIM' && filtering === 'EIF') || hasPortMapping(side)
}

function hasPortMapping(side: PlanSide): boolean {
  return side.candidates.some(({ kind }) => kind === 'port-mapped')
}

/** Those of one side that the other can use, best first. */
function usableCandidates(
  candidates: readonly Candidate[],
  otherSide: readonly Candidate[],
  sameNat: boolean,
): Candidate[] {
  const scopes = new Set(otherSide.map(({ endpoint }) => addressScope(endpoint.address)))
  const families = new Set<Family>(otherSide.map(({ endpoint }) => familyOf(endpoint.address)))
  const usable = candidates.slice(0, maxConsidered).filter(({ kind, endpoint }) => {
    const isPrivate = addressScope(endpoint.address) !== 'public'
    return (
      isUsable(endpoint, scopes.has('loopback')) &&
      // Who has no address of a family at all cannot send to it either.
      (families.size === 0 || families.has(familyOf(endpoint.address))) &&
      // A private address from another network names some stranger in ours.
      (kind !== 'host' || sameNat || !isPrivate)
    )
  })
  // Worst first, so that of one endpoint under two names the better name is the one that stays.
  const worstFirst = usable.sort((a, b) => order(a, sameNat) - order(b, sameNat))
  const byEndpoint = new Map(worstFirst.map((candidate) => [formatEndpoint(candidate.endpoint), candidate]))
  const best = [...byEndpoint.values()].sort((a, b) => order(b, sameNat) - order(a, sameNat))
  const hosts = best.filter(({ kind }) => kind === 'host').slice(0, maxHostTargets)
  return best
    .filter((candidate) => candidate.kind !== 'host' || hosts.includes(candidate))
    .slice(0, maxTargets)
}

function order(candidate: Candidate, sameNat: boolean): number {
  return rankOf(candidate, sameNat) * 2 + (candidate.kind === 'port-mapped' ? 1 : 0)
}

function isPublicSix(address: string): boolean {
  return familyOf(address) === 6 && addressScope(address) === 'public'
}
