// Determines the filtering of the NAT with one server that answers from other addresses on request (RFC 5780
// §4.4).

import { addressScope, type Endpoint, equalEndpoints, familyOf } from '../base/endpoint.ts'
import type { Filtering } from '../base/nat-profile.ts'
import type { Via } from '../base/protocol-machine.ts'
import { patientTiming, type StunClient, type StunTransaction } from './stun-client.ts'

/** A server that announces its other address. */
export type Rfc5780Server = {
  readonly server: Endpoint
  readonly other: Endpoint
  readonly rttMs: number | null
}

/**
 * The other address must differ in address and port (RFC 5780 §7.4). A false one could make us send a few
 * packets to any target, so it must be as public as the server itself.
 */
export function credibleOther(server: Endpoint, other: Endpoint | null): Endpoint | null {
  if (!other || other.address === server.address || other.port === server.port) return null
  if (familyOf(other.address) !== familyOf(server.address)) return null
  const scope = addressScope(other.address)
  return scope === 'public' || scope === addressScope(server.address) ? other : null
}

export class FilteringTest {
  readonly #stunClient: StunClient
  readonly #server: Endpoint
  readonly #sockets: readonly Via[]
  /** Answer from another address and port. */
  readonly #fromOtherAddress: StunTransaction
  /** Answer from the server's address, but another port. */
  readonly #fromOtherPort: StunTransaction
  /** The same, to a socket that has sent there before. */
  readonly #toOpenedMapping: StunTransaction

  constructor(now: number, stunClient: StunClient, { server, other, rttMs }: Rfc5780Server) {
    this.#stunClient = stunClient
    this.#server = server
    const [first, second, third] = [stunClient.newSocket(), stunClient.newSocket(), stunClient.newSocket()]
    this.#sockets = [first, second, third]
    const otherPortOfServer = { address: server.address, port: other.port }
    const requestFrom = (via: Via, address: boolean, elsewhere: Endpoint) =>
      stunClient.request(now, {
        to: server,
        via,
        response: { change: { address, port: true } },
        elsewhere,
        ...patientTiming(rttMs),
      })
    stunClient.request(now, { to: otherPortOfServer, via: third, ...patientTiming(rttMs) })
    this.#fromOtherAddress = requestFrom(first, true, other)
    this.#fromOtherPort = requestFrom(second, false, otherPortOfServer)
    this.#toOpenedMapping = requestFrom(third, false, otherPortOfServer)
  }

  /**
   * Null while pending. `unknown`: the server ignores the requested change. `strict`: each remote endpoint has
   * its own mapping, so no socket can open another's mapping; then it is enough that the other address is
   * alive.
   */
  verdict(strict: { readonly otherAnswers: boolean } | null): Filtering | null {
    if (this.#arrivedFromElsewhere(this.#fromOtherAddress)) return 'EIF'
    if (this.#fromOtherAddress.state === 'pending') return null
    if (this.#arrivedFromElsewhere(this.#fromOtherPort)) return 'ADF'
    if (this.#fromOtherPort.state === 'pending') return null
    // It refused, or answered from the address it was asked at.
    if (this.#fromOtherAddress.state !== 'silent' || this.#fromOtherPort.state !== 'silent') return 'unknown'
    // Silence counts only when the server is known to answer from there.
    if (this.#arrivedFromElsewhere(this.#toOpenedMapping) || strict?.otherAnswers) return 'APDF'
    return this.#toOpenedMapping.state === 'pending' ? null : 'unknown'
  }

  close(): void {
    for (const via of this.#sockets) this.#stunClient.close(via)
  }

  #arrivedFromElsewhere({ state, answeredFrom }: StunTransaction): boolean {
    return state === 'answered' && answeredFrom !== null && !equalEndpoints(answeredFrom, this.#server)
  }
}
