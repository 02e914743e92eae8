// Tests whether the NAT hairpins: whether it returns datagrams to its own public address (RFC 4787 REQ-9). Both
// sides must send, because the filtering applies inside as well.

import type { Endpoint } from '../base/endpoint.ts'
import { patientTiming, type StunClient, type StunTransaction } from './stun-client.ts'

export class HairpinTest {
  readonly #stunClient: StunClient
  readonly #socket: number
  /** The public endpoint of the main socket. */
  readonly #mapped: Endpoint
  readonly #own: StunTransaction
  #echoes: readonly StunTransaction[] | null = null
  #closed = false

  constructor(now: number, stunClient: StunClient, server: Endpoint, mapped: Endpoint) {
    this.#stunClient = stunClient
    this.#mapped = mapped
    this.#socket = stunClient.newSocket()
    this.#own = stunClient.request(now, { to: server, via: this.#socket, ...patientTiming(null) })
  }

  /** `'pending'`, the result, or null when it could not be determined. */
  advance(now: number): boolean | null | 'pending' {
    const verdict = this.#verdict(now)
    if (verdict !== 'pending') this.close()
    return verdict
  }

  close(): void {
    if (!this.#closed) this.#stunClient.close(this.#socket)
    this.#closed = true
  }

  #verdict(now: number): boolean | null | 'pending' {
    if (this.#own.state === 'pending') return 'pending'
    // Only to our own address: a false server must not direct our packets at others.
    if (this.#own.mapped?.address !== this.#mapped.address) return null
    if (!this.#echoes) {
      const echo = { echo: true, sendAfterMs: [0, 150, 300], patienceMs: 800 }
      this.#echoes = [
        this.#stunClient.request(now, { ...echo, to: this.#own.mapped, via: 0, answerVia: this.#socket }),
        this.#stunClient.request(now, { ...echo, to: this.#mapped, via: this.#socket, answerVia: 0 }),
      ]
    }
    if (this.#echoes.some(({ state }) => state === 'answered')) return true
    return this.#echoes.every(({ state }) => state === 'silent') ? false : 'pending'
  }
}
