// Whether the NAT turns datagrams to its own public address back inside (RFC 4787 REQ-9). It only counts if both sides
// send, for the filter holds inside as well.

import type { Endpoint } from '../base/endpoint.ts'
import { patiently, type Question, type StunClient } from './stun-client.ts'

export class HairpinTest {
  readonly #stunClient: StunClient
  readonly #socket: number
  /** The main socket, as others see it. */
  readonly #mapped: Endpoint
  readonly #own: Question
  #echoes: readonly Question[] | null = null
  #closed = false

  constructor(now: number, stunClient: StunClient, server: Endpoint, mapped: Endpoint) {
    this.#stunClient = stunClient
    this.#mapped = mapped
    this.#socket = stunClient.newSocket()
    this.#own = stunClient.ask(now, { to: server, via: this.#socket, ...patiently(null) })
  }

  /** `open`, the result, or null when it could not be found out. */
  advance(now: number): boolean | null | 'open' {
    const verdict = this.#verdict(now)
    if (verdict !== 'open') this.close()
    return verdict
  }

  close(): void {
    if (!this.#closed) this.#stunClient.close(this.#socket)
    this.#closed = true
  }

  #verdict(now: number): boolean | null | 'open' {
    if (this.#own.state === 'open') return 'open'
    // Only to our own address: what a server says must not aim us at others.
    if (this.#own.mapped?.address !== this.#mapped.address) return null
    if (!this.#echoes) {
      const echo = { echo: true, sendAfterMs: [0, 150, 300], patienceMs: 800 }
      this.#echoes = [
        this.#stunClient.ask(now, { ...echo, to: this.#own.mapped, via: 0, answerVia: this.#socket }),
        this.#stunClient.ask(now, { ...echo, to: this.#mapped, via: this.#socket, answerVia: 0 }),
      ]
    }
    if (this.#echoes.some(({ state }) => state === 'answered')) return true
    return this.#echoes.every(({ state }) => state === 'silent') ? false : 'open'
  }
}
