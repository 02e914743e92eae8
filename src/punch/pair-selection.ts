// What one side of an attempt has asked where, and what it listens to. An attempt may have hundreds of sockets; both
// sides must come to mean the same pair of them without a word about it.

import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'

/** The peer's packets are told apart by sequence; beyond so many it is not the peer we know, and is ignored. */
const maxHeard = 256
/** So long only the socket that the peer was heard by first listens, where another would be no better. */
const commitmentMs = 2_000

/**
 * Extra sockets hear only from where they have sent to: from that `address`, or from that `endpoint`, where our NAT
 * gives another port for any other endpoint, so that an answer would come from elsewhere than was asked.
 */
export type Hearing = 'address' | 'endpoint'

export class PairSelection {
  readonly #hearing: Hearing
  /** Sequence of each of our checks to where it went; bounded by the budgets. */
  readonly #asked = new Map<number, string>()
  /** Where checks went, by socket and endpoint or address; bounded by the budgets. */
  readonly #sentTo = new Set<string>()
  /** Sequences of the peer's packets. */
  readonly #heard = new Set<number>()
  readonly #heardBy = new Set<Via>()
  #commitment: { readonly via: Via; readonly until: number } | null = null

  constructor(hearing: Hearing) {
    this.#hearing = hearing
  }

  noteAsked(sequence: number, to: Endpoint, via: Via): void {
    this.#asked.set(sequence, placeOf(to, via))
    this.#sentTo.add(this.#relation(to, via))
  }

  /** RFC 8445 §7.2.5.2.1: an answer from elsewhere than was asked proves no path. */
  isAnswer(confirms: number, from: Endpoint, via: Via): boolean {
    return this.#asked.get(confirms) === placeOf(from, via)
  }

  mayHear(from: Endpoint, via: Via): boolean {
    return via === 0 || this.#sentTo.has(this.#relation(from, via))
  }

  /** False for what was heard before. */
  noteHeard(sequence: number, via: Via): boolean {
    if (this.#heard.has(sequence) || this.#heard.size >= maxHeard) return false
    this.#heard.add(sequence)
    this.#heardBy.add(via)
    return true
  }

  heardBy(via: Via): boolean {
    return this.#heardBy.has(via)
  }

  /**
   * Of several sockets that the peer reaches only one listens, lest each side settle for another of them and send to
   * one that is about to be closed. If nothing comes of it, another may.
   */
  commits(now: number, from: Endpoint, via: Via): boolean {
    if (this.#commitment && this.#commitment.until > now) return this.#commitment.via === via
    // What comes from a place we never sent to may find no way back, and must not keep others from being heard.
    if (this.#sentTo.has(this.#relation(from, via))) this.#commitment = { via, until: now + commitmentMs }
    return true
  }

  /** The socket is gone. */
  forget(via: Via): void {
    if (this.#commitment?.via === via) this.#commitment = null
  }

  clear(): void {
    for (const memory of [this.#asked, this.#sentTo, this.#heard, this.#heardBy]) memory.clear()
    this.#commitment = null
  }

  #relation(endpoint: Endpoint, via: Via): string {
    return this.#hearing === 'endpoint' ? placeOf(endpoint, via) : `${via} ${endpoint.address}`
  }
}

/** A socket of ours and an endpoint as one name. */
export function placeOf(endpoint: Endpoint, via: Via): string {
  return via === 0 ? formatEndpoint(endpoint) : `${via} ${formatEndpoint(endpoint)}`
}
