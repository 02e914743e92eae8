// The product's own address server on the simulated internet, with two addresses and two ports on each (RFC 5780).
// It can be made to misbehave, as servers in the field do.

import type { Clock } from '../../../src/base/clock.ts'
import { type Endpoint, formatEndpoint } from '../../../src/base/endpoint.ts'
import { encodeSuccess, transactionIdBytes } from '../../../src/nat/stun-message.ts'
import { type AlternateAddresses, cornersOf } from '../../../src/stun-server/alternate-addresses.ts'
import { answerRequest } from '../stun-answer.ts'
import type { Datagram, Segment } from './simulated-network.ts'

export type StunManners = {
  readonly isSilent?: boolean
  /** What it claims to have seen, whatever it saw. */
  readonly lie?: Endpoint
  /** Later than an honest answer. */
  readonly lateMs?: number
  /** Answers to one question; 1 when left out. */
  readonly copies?: number
}

/** Real unicast addresses: `addressScope` rightly calls the ranges for documentation unusable. */
const square: AlternateAddresses = { addresses: ['11.0.0.1', '11.0.0.2'], ports: [3478, 3479] }
export const stunEndpoints: readonly Endpoint[] = cornersOf(square)
/** Somebody else's server, with one address and one port. Nobody asks it unless told to. */
export const otherStun: Endpoint = { address: '11.0.0.3', port: 3478 }

export class SimulatedStun {
  readonly #clock: Clock
  readonly #internet: Segment
  readonly #manners = new Map<string, StunManners>()

  constructor(clock: Clock, internet: Segment) {
    this.#clock = clock
    this.#internet = internet
    for (const address of [...square.addresses, otherStun.address]) {
      internet.join(address, { receive: (datagram) => this.#answer(datagram) })
    }
  }

  /** How one of its endpoints behaves from now on. */
  behave(endpoint: Endpoint, manners: StunManners): void {
    this.#manners.set(formatEndpoint(endpoint), manners)
  }

  #answer(datagram: Datagram): void {
    const { isSilent, lie, lateMs = 0, copies = 1 } = this.#manners.get(formatEndpoint(datagram.to)) ?? {}
    if (isSilent || !square.ports.includes(datagram.to.port)) return
    const answer = answerRequest(datagram, datagram.to.address === otherStun.address ? null : square)
    if (!answer) return
    const told = lie ? { ...answer, bytes: lyingAnswer(answer.bytes, lie) } : answer
    for (let copy = 0; copy < copies; copy++) this.#clock.after(lateMs, () => this.#internet.send(told))
  }
}

/** To the same question. */
function lyingAnswer(honest: Uint8Array, mapped: Endpoint): Uint8Array {
  return encodeSuccess({ transactionId: honest.slice(8, 8 + transactionIdBytes), mapped })
}
