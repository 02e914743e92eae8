// When a meeting tries TCP (A7): beside UDP once that has had a fair chance, at once where UDP is known not to pass,
// and again when a link falls silent.

import type { Endpoint } from '../../base/endpoint.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { PacketConnection } from '../../net/tcp/packet-connection.ts'
import type { Path } from '../../punch/connectivity-checks.ts'
import { isHard } from '../../punch/punch-plan.ts'
import { tcpTargets } from '../../punch/tcp-targets.ts'
import type { PeerConnectionOptions } from './peer-connection-types.ts'
import { TcpAttempt, type TcpAttemptOptions } from './tcp-attempt.ts'

/** With both sides there UDP takes a second at most, and a letter may bring one of them some seconds later. */
export const fairChanceMs = 4_000
const mostAttemptMs = 120_000
/** As long as a silent link lives. */
const againMs = 30_000

export type TcpFallbackOptions = {
  readonly peerConnection: PeerConnectionOptions
  readonly onPath: (path: Path, packets: number) => void
  readonly onPacket: (bytes: Uint8Array, from: Endpoint, via: Via) => void
  readonly onGone: (via: Via) => void
  /** The first attempt is over; there may be a path. */
  readonly onOver: () => void
  readonly inUse: TcpAttemptOptions['inUse']
}

export class TcpFallback {
  readonly #options: TcpFallbackOptions
  /** Null where we do no TCP. */
  readonly #attempt: TcpAttempt | null
  #isOver = false
  #cancelBeginning: () => void = () => {}
  #cancelEnd: () => void = () => {}

  constructor(options: TcpFallbackOptions) {
    const { clock, crypto, keys, network, peer, plan, attemptMs } = options.peerConnection
    const { tcp } = network
    this.#options = options
    this.#attempt = tcp
      ? new TcpAttempt({
          ...options,
          clock,
          crypto,
          keys: { tag: keys.tag, ...keys.tcp },
          tcp,
          sameNat: peer.sameNat,
        })
      : null
    if (!this.#attempt || this.#targets.length + (peer.tcpCandidates?.length ?? 0) === 0) {
      this.#isOver = true
      return
    }
    const forMs = Math.min(isHard(plan) ? plan.attemptMs : attemptMs, mostAttemptMs)
    const waitMs = plan.strategy === 'tcp' || network.udpIsSilent || isUdpSilentAt(peer) ? 0 : fairChanceMs
    this.#cancelBeginning = clock.after(waitMs, () => this.#begin(forMs - waitMs))
    this.#cancelEnd = clock.after(forMs, () => this.#end())
  }

  /** Nothing more is to be expected of it, unless the peer calls. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** There is a path by UDP, which is better. */
  cease(): void {
    this.#cancelBeginning()
    this.#attempt?.cease()
  }

  /** The link is silent. */
  beginAgain(): void {
    this.#begin(againMs)
  }

  /** The peer calls; false when it is not the peer. */
  accept(connection: PacketConnection, packet: Uint8Array): boolean {
    return this.#attempt?.accept(connection, packet) ?? false
  }

  send(bytes: Uint8Array, via: Via): void {
    this.#attempt?.send(bytes, via)
  }

  stop(): void {
    this.#isOver = true
    this.#cancelBeginning()
    this.#cancelEnd()
    this.#attempt?.stop()
  }

  get #targets() {
    const { network, peer } = this.#options.peerConnection
    return tcpTargets({
      mine: network.tcpCandidates ?? [],
      theirs: peer.tcpCandidates ?? [],
      sameNat: peer.sameNat,
      onLoopback: network.onLoopback,
    })
  }

  #begin(forMs: number): void {
    this.#attempt?.begin(this.#targets, forMs)
  }

  #end(): void {
    this.#isOver = true
    this.#options.onOver()
  }
}

/** Its letter has an address that servers saw by TCP, and none by UDP. */
function isUdpSilentAt({ candidates, tcpCandidates = [] }: PeerConnectionOptions['peer']): boolean {
  const isReflexive = ({ kind }: { readonly kind: string }) => kind === 'server-reflexive'
  return tcpCandidates.some(isReflexive) && !candidates.some(isReflexive)
}
