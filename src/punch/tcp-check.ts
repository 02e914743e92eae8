// Who is at the other end of a TCP connection (A7), by the packets of punching: each side sends a check as soon as
// it may, and confirms the other's. A connection loses nothing, so nothing is repeated; and it is proven by the
// confirmation of our own check, which nobody can have recorded.

import { viewOf } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import type { Endpoint } from '../base/endpoint.ts'
import { type CheckKeys, openCheck, sealCheck } from './check-packet.ts'

type TcpCheckResult = {
  /** To be sent, in this order. */
  readonly answers: readonly Uint8Array[]
  /** Our own endpoint as the peer sees it, when the connection is proven with this packet. */
  readonly provenAs: Endpoint | null
}

const nothing: TcpCheckResult = { answers: [], provenAs: null }

export class TcpCheck {
  readonly #crypto: Pick<Crypto, 'randomBytes' | 'encrypt' | 'decrypt'>
  readonly #keys: CheckKeys
  readonly #remote: Endpoint
  readonly #sequence: number
  #hasAsked = false
  #hasConfirmed = false
  #isProven = false

  /** `keys` are for TCP alone: what was recorded of other checks means nothing here. */
  constructor(
    crypto: Pick<Crypto, 'randomBytes' | 'encrypt' | 'decrypt'>,
    keys: CheckKeys,
    remote: Endpoint,
  ) {
    this.#crypto = crypto
    this.#keys = keys
    this.#remote = remote
    this.#sequence = viewOf(crypto.randomBytes(4)).getUint32(0)
  }

  get isProven(): boolean {
    return this.#isProven
  }

  /** The check; once. */
  ask(): readonly Uint8Array[] {
    if (this.#hasAsked) return []
    this.#hasAsked = true
    return [sealCheck(this.#crypto, this.#keys, { type: 'check', sequence: this.#sequence })]
  }

  /** Null for what the peer did not send in this attempt: then it is not the peer. */
  take(bytes: Uint8Array): TcpCheckResult | null {
    const packet = openCheck(this.#crypto, this.#keys, bytes)
    if (!packet) return null
    if (packet.type === 'confirm') {
      if (!this.#hasAsked || this.#isProven || packet.confirms !== this.#sequence) return nothing
      this.#isProven = true
      return { answers: [], provenAs: packet.observed }
    }
    if (this.#hasConfirmed) return nothing
    this.#hasConfirmed = true
    // The check first: who has it confirmed may go on at once, and must find us ready.
    const asked = this.ask()
    const confirm = sealCheck(this.#crypto, this.#keys, {
      type: 'confirm',
      sequence: (this.#sequence + 1) >>> 0,
      confirms: packet.sequence,
      observed: this.#remote,
    })
    return { answers: [...asked, confirm], provenAs: null }
  }
}
