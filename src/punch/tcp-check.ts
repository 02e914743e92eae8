// Authenticates the other end of a TCP connection (A7) with the packets of punching. Each side sends a check as
// soon as it may, and confirms the other's. TCP loses nothing, so nothing is repeated. The confirmation of our
// own check proves the connection, because nobody can have recorded it.

import { viewOf } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import type { Endpoint } from '../base/endpoint.ts'
import { type CheckKeys, openCheck, sealCheck } from './check-packet.ts'

type TcpCheckResult = {
  /** Packets to send, in this order. */
  readonly answers: readonly Uint8Array[]
  /** Our own endpoint as the peer sees it, when this packet proves the connection; else null. */
  readonly provenEndpoint: Endpoint | null
}

const nothing: TcpCheckResult = { answers: [], provenEndpoint: null }

export class TcpCheck {
  readonly #crypto: Pick<Crypto, 'randomBytes' | 'encrypt' | 'decrypt'>
  readonly #keys: CheckKeys
  readonly #remote: Endpoint
  readonly #sequence: number
  #hasStarted = false
  #hasConfirmed = false
  #isProven = false

  /** `keys` are for TCP only: packets recorded from UDP checks are invalid here. */
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

  /** Our check the first time; nothing later. */
  start(): readonly Uint8Array[] {
    if (this.#hasStarted) return []
    this.#hasStarted = true
    return [sealCheck(this.#crypto, this.#keys, { type: 'check', sequence: this.#sequence })]
  }

  /**
   * Handles one packet. Null when the peer did not send it in this attempt: then the other end is not the peer.
   */
  handlePacket(bytes: Uint8Array): TcpCheckResult | null {
    const packet = openCheck(this.#crypto, this.#keys, bytes)
    if (!packet) return null
    if (packet.type === 'confirm') {
      if (!this.#hasStarted || this.#isProven || packet.confirms !== this.#sequence) return nothing
      this.#isProven = true
      return { answers: [], provenEndpoint: packet.observed }
    }
    if (this.#hasConfirmed) return nothing
    this.#hasConfirmed = true
    // Our check goes first: once it is confirmed, the peer may send at once, and we must be ready.
    const started = this.start()
    const confirm = sealCheck(this.#crypto, this.#keys, {
      type: 'confirm',
      sequence: (this.#sequence + 1) >>> 0,
      confirms: packet.sequence,
      observed: this.#remote,
    })
    return { answers: [...started, confirm], provenEndpoint: null }
  }
}
