// Learns the next port of our NAT from STUN servers, by requests from new sockets. A repeated request uses the
// same socket and server, so its mapping is the one of the first copy.

import { equalBytes } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { type Endpoint, equalEndpoints, familyOf } from '../base/endpoint.ts'
import type { SendAction, Via } from '../base/protocol-machine.ts'
import { decodeStun, encodeRequest, transactionIdBytes } from '../nat/stun-message.ts'

/** One request. `mapped` is null until it is answered. It stays null when `isSettled` without an answer. */
export type Sample = { readonly via: Via; mapped: Endpoint | null; isSettled: boolean }

type PendingRequest = {
  readonly sample: Sample
  readonly server: Endpoint
  readonly transactionId: Uint8Array
  readonly request: Uint8Array
  sent: number
  nextAt: number
}

/** Waiting times after the first, second and last copy. */
const waitsMs = [350, 700, 1_500] as const

export class PortSampler {
  readonly #crypto: Pick<Crypto, 'randomBytes'>
  readonly #servers: readonly Endpoint[]
  /** Pending requests by socket; pacing keeps them few. */
  readonly #pending = new Map<Via, PendingRequest>()
  #nextServer: number

  /** `firstServer`: index of the server to begin with, modulo their number. */
  constructor(crypto: Pick<Crypto, 'randomBytes'>, servers: readonly Endpoint[], firstServer = 0) {
    this.#crypto = crypto
    // Only IPv4 servers can show the behavior of an IPv4 NAT.
    this.#servers = servers.filter(({ address }) => familyOf(address) === 4)
    this.#nextServer = firstServer
  }

  get hasServers(): boolean {
    return this.#servers.length > 0
  }

  /**
   * Uses the servers in rotation, so that a false or silent one spoils only its own samples. Null when there is
   * none.
   */
  request(now: number, sample: Sample): SendAction | null {
    const server = this.#servers[this.#nextServer++ % Math.max(1, this.#servers.length)]
    if (!server) {
      sample.isSettled = true
      return null
    }
    const transactionId = this.#crypto.randomBytes(transactionIdBytes)
    const request = encodeRequest(transactionId)
    const pending = { sample, server, transactionId, request, sent: 0, nextAt: now }
    this.#pending.set(sample.via, pending)
    return this.#send(now, pending)
  }

  /** The sample that this datagram settles, if any. */
  handleDatagram(bytes: Uint8Array, from: Endpoint, via: Via): Sample | null {
    const pending = this.#pending.get(via)
    if (!pending || !equalEndpoints(pending.server, from)) return null
    const decoding = decodeStun(bytes)
    if (!decoding.ok || decoding.message.type === 'request') return null
    const { message } = decoding
    if (!equalBytes(message.transactionId, pending.transactionId)) return null
    if (message.type === 'success' && familyOf(message.mapped.address) === 4)
      pending.sample.mapped = message.mapped
    return this.#settle(pending)
  }

  /** Repeats due requests and gives up old ones. `mayRepeat`: copies that may still be sent. */
  handleTimeout(now: number, mayRepeat: number): { sends: SendAction[]; settled: Sample[] } {
    const sends: SendAction[] = []
    const settled: Sample[] = []
    for (const pending of [...this.#pending.values()]) {
      if (pending.nextAt > now) continue
      if (pending.sent < waitsMs.length && sends.length < mayRepeat) sends.push(this.#send(now, pending))
      else settled.push(this.#settle(pending))
    }
    return { sends, settled }
  }

  giveUp(via: Via): Sample | null {
    const pending = this.#pending.get(via)
    return pending ? this.#settle(pending) : null
  }

  nextTimeout(): number | null {
    let next: number | null = null
    for (const { nextAt } of this.#pending.values()) if (next === null || nextAt < next) next = nextAt
    return next
  }

  clear(): void {
    this.#pending.clear()
  }

  #send(now: number, pending: PendingRequest): SendAction {
    pending.nextAt = now + (waitsMs[pending.sent] ?? 0)
    pending.sent++
    return { type: 'send', to: pending.server, bytes: pending.request, via: pending.sample.via }
  }

  #settle(pending: PendingRequest): Sample {
    this.#pending.delete(pending.sample.via)
    pending.sample.isSettled = true
    return pending.sample
  }
}
