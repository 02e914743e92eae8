// Decides from two NAT profiles how to punch a pair, or why it is impossible. Both sides reach the same verdict
// from the same facts.
//
//   theirs \ mine   fixed            assignable          counting         random
//   fixed           direct           range               range            birthday, block-search
//   assignable      range            assigned-range      assigned-range   assigned-birthday
//   counting        range            assigned-range      target-list      none
//   random          birthday, …      assigned-birthday   none             none
//
// Also direct: one side accepts packets from any source, or is fixed and accepts any port of an address it has
// sent to.

import { addressScope, type Candidate, type Family, familyOf, formatEndpoint } from '../base/endpoint.ts'
import { isUsable, maxHostTargets, maxTargets, rankOf } from './check-targets.ts'
import { behaviorOf, type NatBehavior, type PlanSide } from './nat-behavior.ts'
import { canConnect } from './tcp-targets.ts'

export type { PlanSide } from './nat-behavior.ts'

export type HardStrategy =
  | 'range'
  | 'assigned-range'
  | 'birthday'
  | 'assigned-birthday'
  | 'block-search'
  | 'target-list'

type Attemptable = {
  /** Packets this side may send in the whole attempt, including answers and samples. */
  readonly budget: number
  /** The attempt fails after so long without a path. */
  readonly attemptMs: number
  /** Where to send checks, best first. Empty when the peer must reach us. */
  readonly targets: readonly Candidate[]
}

/** `tcp`: no known way by UDP, but one side can connect to the other, or both to each other. */
type DirectPlan = Attemptable & { readonly strategy: 'direct' | 'tcp' }

export type HardPlan = Attemptable & {
  readonly strategy: HardStrategy
  /** The part of the budget for checks to the targets and for answers. */
  readonly directBudget: number
  readonly mine: NatBehavior
  readonly theirs: NatBehavior
  /** Sockets of one side and ports tried by the other in one search for an unknown port; 0 without a search. */
  readonly searchSize: number
  /** A LAN or IPv6 path may work without the tactic, so the tactic can wait. */
  readonly hasEasierPath: boolean
}

type NoPlan = {
  readonly strategy: 'none'
  /** A sentence for the user. */
  readonly reason: string
  /** What the user can do about it. */
  readonly advice: string
}

export type Plan = DirectPlan | HardPlan | NoPlan

/** The plan needs more than checks to known endpoints. */
export function isHard(plan: DirectPlan | HardPlan): plan is HardPlan {
  return plan.strategy !== 'direct' && plan.strategy !== 'tcp'
}

const directBudget = 60
const directAttemptMs = 120_000
/** Candidates beyond this number are ignored. */
const maxConsidered = 64

const openOneRouterAdvice =
  'On one of the two routers turn on UPnP or forward a UDP port to the agent, use IPv6, or join from another network.'

/** TCP is tried beside any plan when UDP takes long, and alone where there is no other plan. */
export function plan(mine: PlanSide, theirs: PlanSide & { readonly sameNat: boolean }): Plan {
  const udpPlan = planForUdp(mine, theirs)
  if (udpPlan.strategy !== 'none') return udpPlan
  const sides = { mine: mine.tcpCandidates ?? [], theirs: theirs.tcpCandidates ?? [] }
  if (!canConnect({ ...sides, sameNat: theirs.sameNat, onLoopback: false })) return udpPlan
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
    // Only one side has an address. It must accept packets from any source, for it cannot send first.
    return (targets.length === 0 ? me : peer).isOpen
      ? direct(targets)
      : none(
          `${targets.length === 0 ? 'The peer' : 'This side'} has no address that the other could send to.`,
          'Name STUN servers that answer, over TCP too, and check that UDP or TCP may leave that network.',
        )
  }

  const strategy = strategyFor(me, peer)
  if (strategy === 'direct') return direct(targets)
  // In one LAN and over IPv6, the IPv4 NATs do not matter.
  const isEasier = ({ kind, endpoint }: Candidate) =>
    (sameNat && kind === 'host') || isPublicIpv6(endpoint.address)
  const easierTargets = targets.filter(isEasier)
  const hasEasierPath = easierTargets.length > 0 && offered.some(isEasier)
  if (strategy === 'none') return hasEasierPath ? direct(easierTargets) : noneFor(me, peer)
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
  // Without a public endpoint there is no target; only checks may find a path.
  if (!hard.publicEndpoint || !other.publicEndpoint) return other.kind === 'fixed' ? 'direct' : 'none'
  switch (other.kind) {
    case 'fixed':
      if (acceptsKnownAddresses(other)) return 'direct'
      if (hard.kind === 'random') return hard.isBlock ? 'block-search' : 'birthday'
      return 'range'
    case 'assignable':
      return hard.kind === 'random' && !acceptsKnownAddresses(other) ? 'assigned-birthday' : 'assigned-range'
    case 'counting':
      if (hard.kind === 'random') return 'none'
      return hard.kind === 'assignable' ? 'assigned-range' : 'target-list'
    case 'random':
      return 'none'
  }
}

/** Accepts packets from any port of an address it has sent to. */
function acceptsKnownAddresses({ filtering }: NatBehavior): boolean {
  return filtering === 'EIF' || filtering === 'ADF'
}

function noneFor(a: NatBehavior, b: NatBehavior): NoPlan {
  const random = [a, b].filter(({ kind }) => kind === 'random').length
  const which = random === 2 ? ' at random' : random === 1 ? ', one of them at random' : ''
  return none(
    `Both routers use a different port for every destination${which}, so neither side can tell the other where to send.`,
    openOneRouterAdvice,
  )
}

type Cost = Pick<HardPlan, 'budget' | 'attemptMs' | 'directBudget' | 'searchSize'>

/**
 * Packets for checks and answers beside a tactic. In a search the peer's packets arrive at many sockets and
 * need more.
 */
const directShare = 29
const directShareInSearch = 45
/**
 * Expected number of ports found in one search. At 11.2 a search with S sockets and S ports fails in 2 of
 * 100,000 cases, even if one packet in 20 is lost. At 8 it fails in 5 of 10,000 cases, which is enough when a
 * search is cheap.
 */
const expectedFinds = { block: 8, all: 11.2 }

/** The time allows letters of a minute each, as many as the tactic needs, and a second try. */
function costOf(strategy: HardStrategy, me: NatBehavior, peer: NatBehavior, hasEasierPath: boolean): Cost {
  const isLargeSearch = strategy === 'birthday' || strategy === 'assigned-birthday'
  const share = hasEasierPath ? directBudget : isLargeSearch ? directShareInSearch : directShare
  const extraDirect = hasEasierPath ? directBudget - directShare : 0
  switch (strategy) {
    case 'range': {
      const { ports } = me.kind === 'fixed' ? peer : me
      // A small block is soon used up: enough packets for a few tries and a look at part of it.
      const [tryBudget, openBudget] = ports.last - ports.first < 256 ? [45, 105] : [240, 160]
      const budget = (me.kind === 'fixed' ? tryBudget : openBudget) + extraDirect
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

/** The candidates of one side that the other can use, best first. */
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
      // A side without an address of a family cannot send to that family.
      (families.size === 0 || families.has(familyOf(endpoint.address))) &&
      // A private address of another network would be a stranger's in ours. A router with a private address is
      // itself behind a NAT; only its own network reaches the port it opened.
      ((kind !== 'host' && kind !== 'port-mapped') || sameNat || !isPrivate)
    )
  })
  // Worst first: of two candidates with one endpoint, the map keeps the better one.
  const worstFirst = usable.sort((a, b) => preference(a, sameNat) - preference(b, sameNat))
  const byEndpoint = new Map(worstFirst.map((candidate) => [formatEndpoint(candidate.endpoint), candidate]))
  const best = [...byEndpoint.values()].sort((a, b) => preference(b, sameNat) - preference(a, sameNat))
  const hosts = best.filter(({ kind }) => kind === 'host').slice(0, maxHostTargets)
  return best
    .filter((candidate) => candidate.kind !== 'host' || hosts.includes(candidate))
    .slice(0, maxTargets)
}

/**
 * A NAT with another port for each peer cannot be reached at any port known to others. But checks to one of
 * them open our own NAT for its address. Checks to all of them would be too rare to keep it open.
 */
function onePerAddress(candidates: readonly Candidate[]): Candidate[] {
  const seenAddresses = new Set<string>()
  return candidates.filter(({ kind, endpoint }) => {
    if (kind !== 'server-reflexive') return true
    const isFirst = !seenAddresses.has(endpoint.address)
    seenAddresses.add(endpoint.address)
    return isFirst
  })
}

function preference(candidate: Candidate, sameNat: boolean): number {
  return rankOf(candidate, sameNat) * 2 + (candidate.kind === 'port-mapped' ? 1 : 0)
}

function isPublicIpv6(address: string): boolean {
  return familyOf(address) === 6 && addressScope(address) === 'public'
}
