// What the two of a meeting know of where the other is, once they are linked: the peer tells us over the link, and hears
// what it does not know yet.

import type { Candidate, Endpoint } from '../../base/endpoint.ts'
import { isConnection, type Via } from '../../base/protocol-machine.ts'
import type { OfferedPeer } from '../../letter/letter-types.ts'
import type { CandidatePath } from '../../link/candidate-paths.ts'
import type { Path } from '../../punch/connectivity-checks.ts'
import type { Network } from '../network/network.ts'
import { listText, movedPath, rankOfPath, tellable, waysTo } from './peer-paths.ts'

export class PeerCandidates {
  readonly #network: Pick<Network, 'candidates' | 'onLoopback'>
  readonly #sameNat: boolean
  /** Where the peer says it is. */
  #candidates: readonly Candidate[]
  /** What the peer knows of where we are. */
  #told: string

  constructor(
    network: Pick<Network, 'candidates' | 'onLoopback'>,
    peer: Pick<OfferedPeer, 'sameNat' | 'candidates'>,
  ) {
    this.#network = network
    this.#sameNat = peer.sameNat
    this.#candidates = peer.candidates
    this.#told = listText(this.#tellable)
  }

  /** Best first. */
  get ways(): readonly CandidatePath[] {
    return waysTo(this.#known, this.#network.onLoopback)
  }

  get hasNews(): boolean {
    return listText(this.#tellable) !== this.#told
  }

  /** What the peer is told now. */
  tell(): readonly Candidate[] {
    const candidates = this.#tellable
    this.#told = listText(candidates)
    return candidates
  }

  hear(candidates: readonly Candidate[]): void {
    this.#candidates = candidates
  }

  /** Whether a better way than this path may exist. */
  mayImprove(path: Path): boolean {
    const [best] = this.ways
    return best !== undefined && best.rank > rankOfPath(path)
  }

  /** The path as people are told of it, when the link has moved. */
  pathTo(remote: Endpoint, via: Via, before: Path): Path {
    const moved = movedPath(before, this.#known, remote, via)
    if (isConnection(via) === isConnection(before.via)) return moved
    const own = this.#network.candidates.find(({ kind }) => kind === 'server-reflexive')
    return own ? { ...moved, local: own.endpoint } : moved
  }

  get #known() {
    return { sameNat: this.#sameNat, candidates: this.#candidates }
  }

  get #tellable(): readonly Candidate[] {
    const { candidates, onLoopback } = this.#network
    return tellable(candidates, this.#known, onLoopback)
  }
}
