// Which of the peer's candidates to connect to by TCP, and when (A7).

import { addressScope, type Candidate, type Endpoint, familyOf } from '../base/endpoint.ts'
import { isLan, isUsable } from './check-targets.ts'

export type TcpTarget = {
  readonly candidate: Candidate
  /**
   * The peer connects to us from there at the same time, so we must connect from the port it knows. Else it
   * listens.
   */
  readonly isSimultaneous: boolean
  readonly isLan: boolean
}

/** `mine`: all our candidates. `theirs`: the peer's, from its letter. */
type TcpSides = {
  readonly mine: readonly Candidate[]
  readonly theirs: readonly Candidate[]
  readonly sameNat: boolean
  readonly onLoopback: boolean
}

/** Targets of one peer; the rest is ignored. */
export const maxTcpTargets = 6

export function tcpTargets({ mine, theirs, sameNat, onLoopback }: TcpSides): readonly TcpTarget[] {
  const families = new Set(mine.map(({ endpoint }) => familyOf(endpoint.address)))
  const simultaneousFamilies = new Set(
    mine.filter(connectsSimultaneously).map(({ endpoint }) => familyOf(endpoint.address)),
  )
  return theirs
    .filter(({ endpoint }) => isUsable(endpoint, onLoopback) && families.has(familyOf(endpoint.address)))
    .filter((candidate) =>
      connectsSimultaneously(candidate)
        ? simultaneousFamilies.has(familyOf(candidate.endpoint.address))
        : true,
    )
    .filter(
      (candidate) =>
        connectsSimultaneously(candidate) || sameNat || onLoopback || isPublic(candidate.endpoint),
    )
    .slice(0, maxTcpTargets)
    .map((candidate) => ({
      candidate,
      isSimultaneous: connectsSimultaneously(candidate),
      isLan: isLan(candidate, sameNat),
    }))
}

/** Whether one side can connect to the other, or both to each other. */
export function canConnect(sides: TcpSides): boolean {
  return (
    tcpTargets(sides).length > 0 ||
    tcpTargets({ ...sides, mine: sides.theirs, theirs: sides.mine }).length > 0
  )
}

/**
 * Milliseconds until the next round, counted from 0. Rounds begin at full seconds of the wall clock: when a NAT
 * rejects unexpected connections, both sides must connect within one transit time.
 */
export function roundDelayMs(round: number, wallNow: number): number {
  const periodMs = round < 5 ? 2_000 : round < 10 ? 4_000 : 8_000
  return periodMs - (((wallNow % periodMs) + periodMs) % periodMs)
}

function connectsSimultaneously({ kind }: Candidate): boolean {
  return kind === 'server-reflexive'
}

function isPublic({ address }: Endpoint): boolean {
  return addressScope(address) === 'public'
}
