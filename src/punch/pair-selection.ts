// Which checks one side of an attempt has sent, and which socket it listens on. An attempt may have hundreds of
// sockets. Both sides must select the same pair of sockets without negotiation.

import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'

/** Packets of the peer that are told apart by sequence. Further ones are ignored. */
const maxReceived = 256
/**
 * After the peer's first packet, only the socket that received it listens for so long; other sockets would be
 * no better.
 */
const commitmentMs = 2_000

/**
 * Extra sockets receive only from where they have sent to: from that `address`, or from that `endpoint`. With
 * `endpoint` our NAT uses another port for any other endpoint, so an answer would come from elsewhere than the
 * check went.
 */
export type ReceiveScope = 'address' | 'endpoint'

export class PairSelection {
  readonly #scope: ReceiveScope
  /** Destination of each of our checks by sequence; bounded by the budgets. */
  readonly #checkDestinations = new Map<number, string>()
  /** Where checks were sent, by socket and endpoint or address; bounded by the budgets. */
  readonly #sentTo = new Set<string>()
  /** Sequences of the peer's packets. */
  readonly #receivedSequences = new Set<number>()
  readonly #receivingSockets = new Set<Via>()
  #commitment: { readonly via: Via; readonly until: number } | null = null

  constructor(scope: ReceiveScope) {
    this.#scope = scope
  }

  noteCheckSent(sequence: number, to: Endpoint, via: Via): void {
    this.#checkDestinations.set(sequence, pathKey(to, via))
    this.#sentTo.add(this.#scopeKey(to, via))
  }

  /**
   * Whether this confirms one of our checks. An answer from another endpoint proves no path (RFC 8445
   * §7.2.5.2.1).
   */
  isAnswer(confirms: number, from: Endpoint, via: Via): boolean {
    return this.#checkDestinations.get(confirms) === pathKey(from, via)
  }

  mayReceive(from: Endpoint, via: Via): boolean {
    return via === 0 || this.#sentTo.has(this.#scopeKey(from, via))
  }

  /** False for a repeated packet. */
  noteReceived(sequence: number, via: Via): boolean {
    if (this.#receivedSequences.has(sequence) || this.#receivedSequences.size >= maxReceived) return false
    this.#receivedSequences.add(sequence)
    this.#receivingSockets.add(via)
    return true
  }

  hasReceivedOn(via: Via): boolean {
    return this.#receivingSockets.has(via)
  }

  /**
   * When the peer reaches several sockets, only one of them listens. Otherwise each side could choose another
   * socket and send to one that is about to be closed. If no path comes of it, another socket may be chosen.
   */
  commitsTo(now: number, from: Endpoint, via: Via): boolean {
    if (this.#commitment && this.#commitment.until > now) return this.#commitment.via === via
    // A packet from where we never sent may have no way back. It must not block the other sockets.
    if (this.#sentTo.has(this.#scopeKey(from, via))) this.#commitment = { via, until: now + commitmentMs }
    return true
  }

  /** The socket is closed. */
  dropSocket(via: Via): void {
    if (this.#commitment?.via === via) this.#commitment = null
  }

  clear(): void {
    for (const collection of [
      this.#checkDestinations,
      this.#sentTo,
      this.#receivedSequences,
      this.#receivingSockets,
    ])
      collection.clear()
    this.#commitment = null
  }

  #scopeKey(endpoint: Endpoint, via: Via): string {
    return this.#scope === 'endpoint' ? pathKey(endpoint, via) : `${via} ${endpoint.address}`
  }
}

/** A socket of ours and a remote endpoint as the key of a map. */
export function pathKey(endpoint: Endpoint, via: Via): string {
  return via === 0 ? formatEndpoint(endpoint) : `${via} ${formatEndpoint(endpoint)}`
}
