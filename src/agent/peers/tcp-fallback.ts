// When a connection tries TCP (A7): beside UDP once that has had a fair chance, at once where UDP is known not to pass,
// and again when a link falls silent.

import type { Candidate } from '../../base/endpoint.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { OfferedPeer } from '../../letter/letter-types.ts'
import type { PacketConnection } from '../../net/tcp/packet-connection.ts'
import type { AttemptOptions } from '../../punch/punch-attempt.ts'
import { isHard } from '../../punch/punch-plan.ts'
import { tcpTargets } from '../../punch/tcp-targets.ts'
import type { TcpTransport } from '../network/tcp-transport.ts'
import type { PairKeys } from './pair-keys.ts'
import { TcpAttempt, type TcpAttemptOptions } from './tcp-attempt.ts'

/** With both sides there UDP takes a second at most, and a letter may bring one of them some seconds later. */
const fairChanceMs = 4_000
const mostAttemptMs = 120_000
/** As long as a silent link lives. */
const againMs = 30_000

/** TCP is left out by tests of everything else. */
export type TcpFallbackNetwork = {
  readonly onLoopback: boolean
  readonly tcp?: Pick<TcpTransport, 'dial'> | null
  readonly tcpCandidates?: readonly Candidate[]
  readonly udpIsSilent?: boolean
}

type TcpFallbackOptions = Pick<
  TcpAttemptOptions,
  'clock' | 'crypto' | 'onPath' | 'onPacket' | 'onGone' | 'inUse'
> & {
  readonly keys: Pick<PairKeys, 'tag' | 'tcp'>
  readonly network: TcpFallbackNetwork
  readonly peer: OfferedPeer
  readonly plan: AttemptOptions['plan']
  /** How long a direct attempt lasts; the others need more, and say so themselves. */
  readonly attemptMs: number
  /** The first attempt is over; there may be a path. */
  readonly onOver: () => void
}

export class TcpFallback {
  readonly #options: TcpFallbackOptions
  /** Null where we do no TCP. */
  readonly #attempt: TcpAttempt | null
  #isOver = false
  #cancelBeginning: () => void = () => {}
  #cancelEnd: () => void = () => {}

  constructor(options: TcpFallbackOptions) {
    const { clock, crypto, keys, network, peer, plan, attemptMs, onPath, onPacket, onGone, inUse } = options
    const { tcp } = network
    this.#options = options
    this.#attempt = tcp
      ? new TcpAttempt({
          clock,
          crypto,
          keys: { tag: keys.tag, ...keys.tcp },
          tcp,
          sameNat: peer.sameNat,
          onPath,
          onPacket,
          onGone,
          inUse,
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
    const { network, peer } = this.#options
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
function isUdpSilentAt({ candidates, tcpCandidates = [] }: OfferedPeer): boolean {
  const isReflexive = ({ kind }: { readonly kind: string }) => kind === 'server-reflexive'
  return tcpCandidates.some(isReflexive) && !candidates.some(isReflexive)
}
