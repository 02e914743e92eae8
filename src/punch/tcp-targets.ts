// Whom to call by TCP, and when (A7).

import { addressScope, type Candidate, type Endpoint, familyOf } from '../base/endpoint.ts'
import { isLan, isUsable } from './check-targets.ts'

export type TcpTarget = {
  readonly candidate: Candidate
  /** The peer calls us from there at the same time, so we must from the port that it was told; else it listens. */
  readonly isSimultaneous: boolean
  readonly isLan: boolean
}

/** As a side offers itself; all candidates of ours, those of the peer that a letter brought. */
type TcpSides = {
  readonly mine: readonly Candidate[]
  readonly theirs: readonly Candidate[]
  readonly sameNat: boolean
  readonly onLoopback: boolean
}

/** Of one peer; further ones are ignored. */
export const maxTcpTargets = 6

export function tcpTargets({ mine, theirs, sameNat, onLoopback }: TcpSides): readonly TcpTarget[] {
  const families = new Set(mine.map(({ endpoint }) => familyOf(endpoint.address)))
  const calling = new Set(mine.filter(isCalling).map(({ endpoint }) => familyOf(endpoint.address)))
  return theirs
    .filter(({ endpoint }) => isUsable(endpoint, onLoopback) && families.has(familyOf(endpoint.address)))
    .filter((candidate) => (isCalling(candidate) ? calling.has(familyOf(candidate.endpoint.address)) : true))
    .filter((candidate) => isCalling(candidate) || sameNat || onLoopback || isPublic(candidate.endpoint))
    .slice(0, maxTcpTargets)
    .map((candidate) => ({
      candidate,
      isSimultaneous: isCalling(candidate),
      isLan: isLan(candidate, sameNat),
    }))
}

/** Whether one side may call the other, or both each other. */
export function mayCall(sides: TcpSides): boolean {
  return (
    tcpTargets(sides).length > 0 ||
    tcpTargets({ ...sides, mine: sides.theirs, theirs: sides.mine }).length > 0
  )
}

/**
 * How long to wait for the next round, counted from 0. Rounds begin at full seconds of the clock on the wall: where a NAT
 * refuses what it does not expect yet, both sides must call within one travel time.
 */
export function roundDelayMs(round: number, wallNow: number): number {
  const periodMs = round < 5 ? 2_000 : round < 10 ? 4_000 : 8_000
  return periodMs - (((wallNow % periodMs) + periodMs) % periodMs)
}

function isCalling({ kind }: Candidate): boolean {
  return kind === 'server-reflexive'
}

function isPublic({ address }: Endpoint): boolean {
  return addressScope(address) === 'public'
}
