// What two linked agents know of where the other is: the peer announces its candidates over the link, and so do we.

import type { Candidate, Endpoint } from '../../base/endpoint.ts'
import { isConnection, type Via } from '../../base/protocol-machine.ts'
import type { OfferedPeer } from '../../letter/letter-types.ts'
import type { CandidatePath } from '../../link/candidate-paths.ts'
import type { Path } from '../../punch/connectivity-checks.ts'
import type { Network } from '../network/network.ts'
import { candidatePathsTo, listText, movedPath, rankOfPath, shareable } from './peer-paths.ts'

export class PeerCandidates {
  readonly #network: Pick<Network, 'candidates' | 'onLoopback'>
  readonly #sameNat: boolean
  /** As the peer announced them. */
  #candidates: readonly Candidate[]
  /** What we announced last. */
  #announced: string

  constructor(
    network: Pick<Network, 'candidates' | 'onLoopback'>,
    peer: Pick<OfferedPeer, 'sameNat' | 'candidates'>,
  ) {
    this.#network = network
    this.#sameNat = peer.sameNat
    this.#candidates = peer.candidates
    this.#announced = listText(this.#shareable)
  }

  /** Best first. */
  get paths(): readonly CandidatePath[] {
    return candidatePathsTo(this.#known, this.#network.onLoopback)
  }

  get hasNews(): boolean {
    return listText(this.#shareable) !== this.#announced
  }

  /** What the peer is to hear now. */
  announce(): readonly Candidate[] {
    const candidates = this.#shareable
    this.#announced = listText(candidates)
    return candidates
  }

  handle(candidates: readonly Candidate[]): void {
    this.#candidates = candidates
  }

  /** Whether a better path than this one may exist. */
  mayImprove(path: Path): boolean {
    const [best] = this.paths
    return best !== undefined && best.rank > rankOfPath(path)
  }

  /** The path for the event, when the link has moved. */
  pathTo(remote: Endpoint, via: Via, before: Path): Path {
    const moved = movedPath(before, this.#known, remote, via)
    if (isConnection(via) === isConnection(before.via)) return moved
    const own = this.#network.candidates.find(({ kind }) => kind === 'server-reflexive')
    return own ? { ...moved, local: own.endpoint } : moved
  }

  get #known() {
    return { sameNat: this.#sameNat, candidates: this.#candidates }
  }

  get #shareable(): readonly Candidate[] {
    const { candidates, onLoopback } = this.#network
    return shareable(candidates, this.#known, onLoopback)
  }
}
