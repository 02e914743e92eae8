// Decides from two NAT profiles how a pair is to be punched, or why it cannot be. Both sides reach the
// same verdict from the same facts.
//
//   theirs \ mine   fixed            assignable          counting         random
//   fixed           direct           range               range            birthday, block-search
//   assignable      range            assigned-range      assigned-range   assigned-birthday
//   counting        range            assigned-range      target-list      none
//   random          birthday, …      assigned-birthday   none             none
//
// Direct, too, where one side lets in anybody, or is fixed and lets in any port of an address it has sent to.

import { addressScope, type Candidate, type Family, familyOf, formatEndpoint } from '../base/endpoint.ts'
import { isUsable, maxHostTargets, maxTargets, rankOf } from './check-targets.ts'
import { behaviorOf, type NatBehavior, type PlanSide } from './nat-behavior.ts'
import { mayCall } from './tcp-targets.ts'

export type { PlanSide } from './nat-behavior.ts'

export type HardStrategy =
  | 'range'
  | 'assigned-range'
  | 'birthday'
  | 'assigned-birthday'
  | 'block-search'
  | 'target-list'

type Attemptable = {
  /** Packets this side may send in the whole attempt, answers and samples included. */
  readonly budget: number
  /** After so long without a path it has failed. */
  readonly attemptMs: number
  /** Where to send checks, best first; empty when the peer must come to us. */
  readonly targets: readonly Candidate[]
}

/** `tcp`: there is no way by UDP as far as anybody knows, but one may call the other, or both each other. */
type DirectPlan = Attemptable & { readonly strategy: 'direct' | 'tcp' }

export type HardPlan = Attemptable & {
  readonly strategy: HardStrategy
  /** The part of the budget for checks to the targets and for answers. */
  readonly directBudget: number
  readonly mine: NatBehavior
  readonly theirs: NatBehavior
  /** Sockets of one side, and ports tried by the other, in one search for a port nobody knows; 0 where there is none. */
  readonly searchSize: number
  /** A LAN or IPv6 may do without the tactic, so it can wait. */
  readonly hasEasierPath: boolean
}

type NoPlan = {
  readonly strategy: 'none'
  /** A sentence a person understands. */
  readonly reason: string
  /** What the person can do about it. */
  readonly advice: string
}

export type Plan = DirectPlan | HardPlan | NoPlan

/** It needs more than checks to known places. */
export function isHard(plan: DirectPlan | HardPlan): plan is HardPlan {
  return plan.strategy !== 'direct' && plan.strategy !== 'tcp'
}

const directBudget = 60
const directAttemptMs = 120_000
/** Of a longer list of candidates the rest is not looked at. */
const maxConsidered = 64

const openOneRouter =
  'On one of the two routers turn on UPnP or forward a UDP port to the agent, use IPv6, or join from another network.'

/** TCP is tried beside any plan when UDP takes long, and alone where there is no other. */
export function plan(mine: PlanSide, theirs: PlanSide & { readonly sameNat: boolean }): Plan {
  const byUdp = planForUdp(mine, theirs)
  if (byUdp.strategy !== 'none') return byUdp
  const sides = { mine: mine.tcpCandidates ?? [], theirs: theirs.tcpCandidates ?? [] }
  if (!mayCall({ ...sides, sameNat: theirs.sameNat, onLoopback: false })) return byUdp
  return { strategy: 'tcp', budget: directBudget, attemptMs: directAttemptMs, targets: [] }
}

function planForUdp(mine: PlanSide, theirs: PlanSide & { readonly sameNat: boolean }): Plan {
  const { sameNat } = theirs
  const [me, peer] = [behaviorOf(mine), behaviorOf(theirs)]
  const usable = usableCandidates(theirs.candidates, mine.candidates, sameNat)
  const targets = peer.kind === 'fixed' ? usable : onePerAddress(usable)
  const offered = usableCandidates(mine.candidates, theirs.candidates, sameNat)

  if (targets.length === 0 && offered.length === 0) {
    return none(
      'Neither side has an address the other could use.',
      'Name STUN servers that answer, over TCP too, and check that UDP or TCP may leave your network.',
    )
  }
  if (targets.length === 0 || offered.length === 0) {
    // The side with an address must let the other in uncalled, for it can call nobody.
    return (targets.length === 0 ? me : peer).isOpen
      ? direct(targets)
      : none(
          `${targets.length === 0 ? 'The peer' : 'This side'} has no address that the other could send to.`,
          'Name STUN servers that answer, over TCP too, and check that UDP or TCP may leave that network.',
        )
  }

  const strategy = strategyFor(me, peer)
  if (strategy === 'direct') return direct(targets)
  // Inside one LAN, and over IPv6, the NATs for IPv4 do not matter.
  const isEasier = ({ kind, endpoint }: Candidate) =>
    (sameNat && kind === 'host') || isPublicSix(endpoint.address)
  const around = targets.filter(isEasier)
  const hasEasierPath = around.length > 0 && offered.some(isEasier)
  if (strategy === 'none') return hasEasierPath ? direct(around) : noneFor(me, peer)
  return {
    strategy,
    targets,
    mine: me,
    theirs: peer,
    hasEasierPath,
    ...costOf(strategy, me, peer, hasEasierPath),
  }
}

function direct(targets: readonly Candidate[]): DirectPlan {
  return { strategy: 'direct', budget: directBudget, attemptMs: directAttemptMs, targets }
}

function none(reason: string, advice: string): NoPlan {
  return { strategy: 'none', reason, advice }
}

function strategyFor(a: NatBehavior, b: NatBehavior): 'direct' | 'none' | HardStrategy {
  if (a.isOpen || b.isOpen) return 'direct'
  const [hard, other] = a.kind === 'fixed' || b.kind === 'random' ? [b, a] : [a, b]
  if (hard.kind === 'fixed') return 'direct'
  // Nowhere to aim at: only checks may find a path.
  if (!hard.seenAs || !other.seenAs) return other.kind === 'fixed' ? 'direct' : 'none'
  switch (other.kind) {
    case 'fixed':
      if (letsAddressesIn(other)) return 'direct'
      if (hard.kind === 'random') return hard.isBlock ? 'block-search' : 'birthday'
      return 'range'
    case 'assignable':
      return hard.kind === 'random' && !letsAddressesIn(other) ? 'assigned-birthday' : 'assigned-range'
    case 'counting':
      if (hard.kind === 'random') return 'none'
      return hard.kind === 'assignable' ? 'assigned-range' : 'target-list'
    case 'random':
      return 'none'
  }
}

/** Any port of an address that it has sent to. */
function letsAddressesIn({ filtering }: NatBehavior): boolean {
  return filtering === 'EIF' || filtering === 'ADF'
}

function noneFor(a: NatBehavior, b: NatBehavior): NoPlan {
  const random = [a, b].filter(({ kind }) => kind === 'random').length
  const which = random === 2 ? ' at random' : random === 1 ? ', one of them at random' : ''
  return none(
    `Both routers use a different port for every destination${which}, so neither side can tell the other where to send.`,
    openOneRouter,
  )
}

type Cost = Pick<HardPlan, 'budget' | 'attemptMs' | 'directBudget' | 'searchSize'>

/** For checks and answers beside a tactic; more where a search makes the peer be heard in many places. */
const directShare = 29
const directShareInSearch = 45
/**
 * Expected number of ports found in one search. At 11.2 a search by S sockets and S ports fails in 2 of 100,000 cases
 * although one packet in 20 is lost; at 8 in 5 of 10,000, which is enough where a search is cheap.
 */
const expectedFinds = { block: 8, all: 11.2 }

/** The time leaves room for letters of a minute, each tactic's number of them and a second try. */
function costOf(strategy: HardStrategy, me: NatBehavior, peer: NatBehavior, hasEasierPath: boolean): Cost {
  const isLargeSearch = strategy === 'birthday' || strategy === 'assigned-birthday'
  const share = hasEasierPath ? directBudget : isLargeSearch ? directShareInSearch : directShare
  const more = hasEasierPath ? directBudget - directShare : 0
  switch (strategy) {
    case 'range': {
      const { ports } = me.kind === 'fixed' ? peer : me
      // A small block is soon used up: packets for a few tries, and to look at part of it.
      const [trying, opening] = ports.last - ports.first < 256 ? [45, 105] : [240, 160]
      const budget = (me.kind === 'fixed' ? trying : opening) + more
      return { budget, attemptMs: 240_000, directBudget: share, searchSize: 0 }
    }
    case 'assigned-range':
      return { budget: 500, attemptMs: 300_000, directBudget: share, searchSize: 0 }
    case 'target-list':
      return { budget: 750, attemptMs: 480_000, directBudget: share, searchSize: 0 }
    case 'birthday':
    case 'block-search': {
      const searchSize = searchSizeFor(me, peer)
      return { budget: searchSize + share, attemptMs: 300_000, directBudget: share, searchSize }
    }
    case 'assigned-birthday': {
      const searchSize = searchSizeFor(me, peer)
      return { budget: 2 * searchSize + share + 200, attemptMs: 480_000, directBudget: share, searchSize }
    }
  }
}

function searchSizeFor(a: NatBehavior, b: NatBehavior): number {
  const { ports, isBlock } = a.kind === 'random' ? a : b
  const size = ports.last - ports.first + 1
  return Math.min(size, Math.ceil(Math.sqrt(size * (isBlock ? expectedFinds.block : expectedFinds.all))))
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
      // A private address from another network names some stranger in ours; a router that has one is itself
      // behind a NAT, and only its neighbours reach the port it opened.
      ((kind !== 'host' && kind !== 'port-mapped') || sameNat || !isPrivate)
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

/**
 * Of a NAT that has another port for each peer no port known to others leads to it, but checks to one of them open our
 * own NAT for its address. Checks to all of them would be too rare to keep it open.
 */
function onePerAddress(candidates: readonly Candidate[]): Candidate[] {
  const seen = new Set<string>()
  return candidates.filter(({ kind, endpoint }) => {
    if (kind !== 'server-reflexive') return true
    const isFirst = !seen.has(endpoint.address)
    seen.add(endpoint.address)
    return isFirst
  })
}

function order(candidate: Candidate, sameNat: boolean): number {
  return rankOf(candidate, sameNat) * 2 + (candidate.kind === 'port-mapped' ? 1 : 0)
}

function isPublicSix(address: string): boolean {
  return familyOf(address) === 6 && addressScope(address) === 'public'
}
