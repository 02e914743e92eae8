// What the NAT lets in, with the help of one server that answers from other places when asked to (RFC 5780 §4.4).

import { addressScope, type Endpoint, equalEndpoints, familyOf } from '../base/endpoint.ts'
import type { Filtering } from '../base/nat-profile.ts'
import type { Via } from '../base/protocol-machine.ts'
import { patiently, type Question, type StunClient } from './stun-client.ts'

/** A server that says where else it is. */
export type Helper = { readonly server: Endpoint; readonly other: Endpoint; readonly rttMs: number | null }

/**
 * RFC 5780 §7.4: the other address differs in both. Whoever lies could make us send a few packets to any place he likes;
 * so it has to be as public as the server is itself.
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
  /** From elsewhere altogether. */
  readonly #anywhere: Question
  /** From the address we asked, but another port. */
  readonly #otherPort: Question
  /** The same to a socket that has sent there before. */
  readonly #invited: Question

  constructor(now: number, stunClient: StunClient, { server, other, rttMs }: Helper) {
    this.#stunClient = stunClient
    this.#server = server
    const [first, second, third] = [stunClient.newSocket(), stunClient.newSocket(), stunClient.newSocket()]
    this.#sockets = [first, second, third]
    const otherPortOfServer = { address: server.address, port: other.port }
    const ask = (via: Via, address: boolean, elsewhere: Endpoint) =>
      stunClient.ask(now, {
        to: server,
        via,
        response: { change: { address, port: true } },
        elsewhere,
        ...patiently(rttMs),
      })
    stunClient.ask(now, { to: otherPortOfServer, via: third, ...patiently(rttMs) })
    this.#anywhere = ask(first, true, other)
    this.#otherPort = ask(second, false, otherPortOfServer)
    this.#invited = ask(third, false, otherPortOfServer)
  }

  /**
   * Null while it is open. `unknown`: the server does not do as it is asked. `strict`: where each endpoint has a mapping
   * of its own, so that nobody can be invited to another's; then it is enough that the other place is alive.
   */
  verdict(strict: { readonly otherAnswers: boolean } | null): Filtering | null {
    if (this.#cameIn(this.#anywhere)) return 'EIF'
    if (this.#anywhere.state === 'open') return null
    if (this.#cameIn(this.#otherPort)) return 'ADF'
    if (this.#otherPort.state === 'open') return null
    // It refused, or answered from where it was asked.
    if (this.#anywhere.state !== 'silent' || this.#otherPort.state !== 'silent') return 'unknown'
    // Silence counts only of a server that is known to answer from there.
    if (this.#cameIn(this.#invited) || strict?.otherAnswers) return 'APDF'
    return this.#invited.state === 'open' ? null : 'unknown'
  }

  close(): void {
    for (const via of this.#sockets) this.#stunClient.close(via)
  }

  #cameIn({ state, answeredFrom }: Question): boolean {
    return state === 'answered' && answeredFrom !== null && !equalEndpoints(answeredFrom, this.#server)
  }
}
