// The product's own address server on the simulated Internet, with two addresses and two ports each (RFC 5780).
// It can be made faulty, as servers in the field are.

import type { Clock } from '../../../src/base/clock.ts'
import { type Endpoint, formatEndpoint } from '../../../src/base/endpoint.ts'
import { encodeSuccess, transactionIdBytes } from '../../../src/nat/stun-message.ts'
import { type AlternateAddresses, endpointsOf } from '../../../src/stun-server/alternate-addresses.ts'
import { answerRequest } from '../answer-stun.ts'
import type { Datagram, Segment } from './simulated-network.ts'

export type StunBehavior = {
  readonly isSilent?: boolean
  /** A false mapped address. */
  readonly falseEndpoint?: Endpoint
  /** Additional delay of its answers. */
  readonly lateMs?: number
  /** Number of answers to one request; default 1. */
  readonly copies?: number
}

/** Real unicast addresses, because `addressScope` rejects the documentation ranges. */
const serverAddresses: AlternateAddresses = { addresses: ['11.0.0.1', '11.0.0.2'], ports: [3478, 3479] }
export const stunEndpoints: readonly Endpoint[] = endpointsOf(serverAddresses)
/** Another operator's server with one address and one port. Used only when it is configured. */
export const otherStun: Endpoint = { address: '11.0.0.3', port: 3478 }

export class SimulatedStun {
  readonly #clock: Clock
  readonly #internet: Segment
  readonly #behaviors = new Map<string, StunBehavior>()

  constructor(clock: Clock, internet: Segment) {
    this.#clock = clock
    this.#internet = internet
    for (const address of [...serverAddresses.addresses, otherStun.address]) {
      internet.join(address, { receive: (datagram) => this.#answer(datagram) })
    }
  }

  /** Sets the behavior of one endpoint. */
  behave(endpoint: Endpoint, behavior: StunBehavior): void {
    this.#behaviors.set(formatEndpoint(endpoint), behavior)
  }

  #answer(datagram: Datagram): void {
    const {
      isSilent,
      falseEndpoint,
      lateMs = 0,
      copies = 1,
    } = this.#behaviors.get(formatEndpoint(datagram.to)) ?? {}
    if (isSilent || !serverAddresses.ports.includes(datagram.to.port)) return
    const answer = answerRequest(datagram, datagram.to.address === otherStun.address ? null : serverAddresses)
    if (!answer) return
    const answerSent = falseEndpoint ? { ...answer, bytes: falseAnswer(answer.bytes, falseEndpoint) } : answer
    for (let copy = 0; copy < copies; copy++) this.#clock.after(lateMs, () => this.#internet.send(answerSent))
  }
}

/** A false answer to the same request. */
function falseAnswer(honest: Uint8Array, mapped: Endpoint): Uint8Array {
  return encodeSuccess({ transactionId: honest.slice(8, 8 + transactionIdBytes), mapped })
}
