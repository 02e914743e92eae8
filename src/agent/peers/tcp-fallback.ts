// Decides when a connection tries TCP (A7): in parallel to UDP after a head start for UDP, at once where UDP is known not
// to get through, and again when a link becomes silent.

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

/** With both sides punching, UDP needs one second at most. One side may start some seconds later, because of the mail. */
const udpHeadStartMs = 4_000
const maxAttemptMs = 120_000
/** Equals the time after which a silent link is closed. */
const restartMs = 30_000

/** Tests of other parts leave TCP out. */
export type TcpFallbackNetwork = {
  readonly onLoopback: boolean
  readonly tcp?: Pick<TcpTransport, 'dial'> | null
  readonly tcpCandidates?: readonly Candidate[]
  readonly udpIsSilent?: boolean
}

type TcpFallbackOptions = Pick<
  TcpAttemptOptions,
  'clock' | 'crypto' | 'onPath' | 'onPacket' | 'onConnectionClosed' | 'currentPath'
> & {
  readonly keys: Pick<PairKeys, 'tag' | 'tcp'>
  readonly network: TcpFallbackNetwork
  readonly peer: OfferedPeer
  readonly plan: AttemptOptions['plan']
  /** How long a direct attempt lasts. Other plans need more time and have their own `attemptMs`. */
  readonly attemptMs: number
  /** The first attempt is over. It may have found a path. */
  readonly onAttemptEnd: () => void
}

export class TcpFallback {
  readonly #options: TcpFallbackOptions
  /** Null when TCP is off. */
  readonly #attempt: TcpAttempt | null
  #isOver = false
  #cancelStart: () => void = () => {}
  #cancelEnd: () => void = () => {}

  constructor(options: TcpFallbackOptions) {
    const {
      clock,
      crypto,
      keys,
      network,
      peer,
      plan,
      attemptMs,
      onPath,
      onPacket,
      onConnectionClosed,
      currentPath,
    } = options
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
          onConnectionClosed,
          currentPath,
        })
      : null
    if (!this.#attempt || this.#targets.length + (peer.tcpCandidates?.length ?? 0) === 0) {
      this.#isOver = true
      return
    }
    const forMs = Math.min(isHard(plan) ? plan.attemptMs : attemptMs, maxAttemptMs)
    const waitMs = plan.strategy === 'tcp' || network.udpIsSilent || isUdpSilentAt(peer) ? 0 : udpHeadStartMs
    this.#cancelStart = clock.after(waitMs, () => this.#startDialling(forMs - waitMs))
    this.#cancelEnd = clock.after(forMs, () => this.#end())
  }

  /** True when no more paths will come, unless the peer opens a connection. */
  get isOver(): boolean {
    return this.#isOver
  }

  /** Call it when there is a UDP path, which is better. */
  stopDialling(): void {
    this.#cancelStart()
    this.#attempt?.stopDialling()
  }

  /** Call it when the link is silent. */
  restart(): void {
    this.#startDialling(restartMs)
  }

  /** Takes a connection that came in. Returns false when it is not from the peer. */
  accept(connection: PacketConnection, packet: Uint8Array): boolean {
    return this.#attempt?.accept(connection, packet) ?? false
  }

  send(bytes: Uint8Array, via: Via): void {
    this.#attempt?.send(bytes, via)
  }

  stop(): void {
    this.#isOver = true
    this.#cancelStart()
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

  #startDialling(forMs: number): void {
    this.#attempt?.begin(this.#targets, forMs)
  }

  #end(): void {
    this.#isOver = true
    this.#options.onAttemptEnd()
  }
}

/** True when STUN servers see this peer over TCP but not over UDP, as its candidates show. */
function isUdpSilentAt({ candidates, tcpCandidates = [] }: OfferedPeer): boolean {
  const isReflexive = ({ kind }: { readonly kind: string }) => kind === 'server-reflexive'
  return tcpCandidates.some(isReflexive) && !candidates.some(isReflexive)
}
