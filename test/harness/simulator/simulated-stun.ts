// A STUN server as RFC 5780 wants it: two addresses, two ports on each, told by OTHER-ADDRESS. It can be made to
// misbehave, as servers in the field do.

import type { Clock } from '../../../src/base/clock.ts'
import { type Endpoint, formatEndpoint } from '../../../src/base/endpoint.ts'
import { decodeStun, encodeError, encodeSuccess } from '../../../src/nat/stun.ts'
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
export const stunAddresses = ['11.0.0.1', '11.0.0.2'] as const
const ports = [3478, 3479] as const
export const stunEndpoints: readonly Endpoint[] = stunAddresses.flatMap((address) =>
  ports.map((port) => ({ address, port })),
)
const unknownAttribute = 420

export class SimulatedStun {
  readonly #clock: Clock
  readonly #internet: Segment
  readonly #manners = new Map<string, StunManners>()

  constructor(clock: Clock, internet: Segment) {
    this.#clock = clock
    this.#internet = internet
    for (const address of stunAddresses) {
      internet.join(address, { receive: (datagram) => this.#answer(datagram) })
    }
  }

  /** How one of its endpoints behaves from now on. */
  behave(endpoint: Endpoint, manners: StunManners): void {
    this.#manners.set(formatEndpoint(endpoint), manners)
  }

  #answer({ from, to, bytes }: Datagram): void {
    const { isSilent, lie, lateMs = 0, copies = 1 } = this.#manners.get(formatEndpoint(to)) ?? {}
    const decoding = decodeStun(bytes)
    if (isSilent || !ports.some((port) => port === to.port)) return
    if (!decoding.ok || decoding.message.type !== 'request') return
    const { transactionId, unknownRequired } = decoding.message
    const answer =
      unknownRequired.length > 0
        ? encodeError(transactionId, unknownAttribute, unknownRequired)
        : encodeSuccess({ transactionId, mapped: lie ?? from, otherAddress: across(to), responseOrigin: to })
    for (let copy = 0; copy < copies; copy++) {
      this.#clock.after(lateMs, () => this.#internet.send({ from: to, to: from, bytes: answer }))
    }
  }
}

/** The endpoint with the other address and the other port. */
function across({ address, port }: Endpoint): Endpoint {
  const otherAddress = stunAddresses.find((other) => other !== address) ?? address
  return { address: otherAddress, port: ports.find((other) => other !== port) ?? port }
}
