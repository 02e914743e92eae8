// The candidates that two linked agents announce to each other over their link.

import type { Candidate, Endpoint } from '../../base/endpoint.ts'
import { isConnection, type Via } from '../../base/protocol-machine.ts'
import type { OfferedPeer } from '../../letter/letter-types.ts'
import type { CandidatePath } from '../../link/candidate-paths.ts'
import type { Path } from '../../punch/connectivity-checks.ts'
import type { Network } from '../network/network.ts'
import { candidatePathsTo, candidatesFor, candidatesKey, movedPath, rankOfPath } from './peer-paths.ts'

export class PeerCandidates {
  readonly #network: Pick<Network, 'candidates' | 'onLoopback'>
  readonly #sameNat: boolean
  /** The peer's candidates, as it announced them last. */
  #candidates: readonly Candidate[]
  /** Our candidates that we announced last. */
  #announced: string

  constructor(
    network: Pick<Network, 'candidates' | 'onLoopback'>,
    peer: Pick<OfferedPeer, 'sameNat' | 'candidates'>,
  ) {
    this.#network = network
    this.#sameNat = peer.sameNat
    this.#candidates = peer.candidates
    this.#announced = candidatesKey(this.#ownCandidates)
  }

  /** Best first. */
  get paths(): readonly CandidatePath[] {
    return candidatePathsTo(this.#knownPeer, this.#network.onLoopback)
  }

  get hasChanged(): boolean {
    return candidatesKey(this.#ownCandidates) !== this.#announced
  }

  /** Returns our candidates for this peer and notes that they are announced. */
  takeAnnouncement(): readonly Candidate[] {
    const candidates = this.#ownCandidates
    this.#announced = candidatesKey(candidates)
    return candidates
  }

  setPeerCandidates(candidates: readonly Candidate[]): void {
    this.#candidates = candidates
  }

  /** True when a better path than this one may exist. */
  canImprove(path: Path): boolean {
    const [best] = this.paths
    return best !== undefined && best.rank > rankOfPath(path)
  }

  /** The path for the event after the link has moved. */
  pathAfterMove(remote: Endpoint, via: Via, before: Path): Path {
    const moved = movedPath(before, this.#knownPeer, remote, via)
    if (isConnection(via) === isConnection(before.via)) return moved
    const own = this.#network.candidates.find(({ kind }) => kind === 'server-reflexive')
    return own ? { ...moved, local: own.endpoint } : moved
  }

  get #knownPeer() {
    return { sameNat: this.#sameNat, candidates: this.#candidates }
  }

  get #ownCandidates(): readonly Candidate[] {
    const { candidates, onLoopback } = this.#network
    return candidatesFor(candidates, this.#knownPeer, onLoopback)
  }
}
