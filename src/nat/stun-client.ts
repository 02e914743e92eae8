// STUN transactions, from the main socket and from extra sockets: sends and repeats requests, matches
// responses, and gives up.

import { equalBytes } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { type Endpoint, equalEndpoints, familyOf } from '../base/endpoint.ts'
import type { CloseAction, SendAction, Via } from '../base/protocol-machine.ts'
import {
  decodeStun,
  encodeRequest,
  type ResponseOptions,
  type StunMessage,
  transactionIdBytes,
} from './stun-message.ts'

type StunRequestOptions = {
  readonly to: Endpoint
  /** Default: the main socket. */
  readonly via?: Via
  readonly response?: ResponseOptions
  /** Another endpoint from which the response may come. */
  readonly elsewhere?: Endpoint
  /** The socket that receives the response, if not `via`. */
  readonly answerVia?: Via
  /** Wait for the request itself instead of a response: our own NAT must send it back to us. */
  readonly echo?: boolean
  /** Send times in ascending order, counted from now. */
  readonly sendAfterMs: readonly number[]
  /** After so long without a response the transaction counts as silent. */
  readonly patienceMs: number
}

/** `refused`: an error response. `silent`: no response in time, or the socket could not be opened. */
export type StunTransaction = {
  readonly to: Endpoint
  readonly state: 'pending' | 'answered' | 'refused' | 'silent'
  /** Set with `answered` only, and not for an echo. */
  readonly mapped: Endpoint | null
  readonly otherAddress: Endpoint | null
  readonly answeredFrom: Endpoint | null
  readonly answeredAt: number
  /** Null when the request was sent more than once before the response. */
  readonly rttMs: number | null
}

type Pending = { -readonly [Key in keyof StunTransaction]: StunTransaction[Key] } & {
  readonly options: StunRequestOptions
  readonly transactionId: Uint8Array
  readonly request: Uint8Array
  readonly startedAt: number
  sent: number
}

/** Assumed round trip of a server whose response came after a repetition. */
export const usualRttMs = 200

/**
 * Sends four times, because a NAT that filters looks just like packet loss. `rttMs`: the known round trip of
 * the server.
 */
export function patientTiming(rttMs: number | null): Pick<StunRequestOptions, 'sendAfterMs' | 'patienceMs'> {
  const rtt = rttMs ?? usualRttMs
  // Never shorter, however close the server: a busy computer may take a while to read datagrams.
  const gapMs = Math.min(400, Math.max(100, rtt * 1.5))
  return { sendAfterMs: [0, gapMs, gapMs * 2, gapMs * 3], patienceMs: gapMs * 3 + Math.max(200, rtt * 2) }
}

/** Most pending transactions; a further one is silent from the start. */
const maxPending = 128

export class StunClient {
  readonly #crypto: Pick<Crypto, 'randomBytes'>
  #pending: Pending[] = []
  readonly #closeActions: CloseAction[] = []
  #lastVia: Via = 0

  constructor(crypto: Pick<Crypto, 'randomBytes'>) {
    this.#crypto = crypto
  }

  /** A new socket, with a port that nobody knows yet. */
  newSocket(): Via {
    return ++this.#lastVia
  }

  /** Closes the socket and gives up its transactions. */
  close(via: Via): void {
    this.failSocket(via)
    this.#closeActions.push({ type: 'close', via })
  }

  failSocket(via: Via): void {
    this.#settle(({ options }) => options.via === via || options.answerVia === via)
  }

  cancel(transactions: readonly StunTransaction[]): void {
    this.#settle((pending) => transactions.includes(pending))
  }

  request(now: number, options: StunRequestOptions): StunTransaction {
    const transactionId = this.#crypto.randomBytes(transactionIdBytes)
    const pending: Pending = {
      options,
      to: options.to,
      state: 'pending',
      mapped: null,
      otherAddress: null,
      answeredFrom: null,
      answeredAt: now,
      rttMs: null,
      transactionId,
      request: encodeRequest(transactionId, options.response),
      startedAt: now,
      sent: 0,
    }
    if (this.#pending.length < maxPending) this.#pending.push(pending)
    else pending.state = 'silent'
    return pending
  }

  /** Whether this datagram settled a transaction. */
  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint, via: Via): boolean {
    if (this.#pending.length === 0) return false
    const decoding = decodeStun(bytes)
    if (!decoding.ok) return false
    const { message } = decoding
    const pending = this.#pending.find(({ transactionId }) =>
      equalBytes(transactionId, message.transactionId),
    )
    if (!pending || via !== (pending.options.answerVia ?? pending.options.via ?? 0)) return false
    if (!isExpected(message, from, pending.options)) return false
    pending.state = message.type === 'error' ? 'refused' : 'answered'
    pending.answeredFrom = from
    pending.answeredAt = now
    if (pending.sent === 1) pending.rttMs = now - pending.startedAt
    if (message.type === 'success') {
      pending.mapped = message.mapped
      pending.otherAddress = message.otherAddress ?? null
    }
    this.#settle((other) => other === pending)
    return true
  }

  /** Transactions past their time limit become silent. */
  expire(now: number): void {
    this.#settle(({ options, startedAt }) => now >= startedAt + options.patienceMs)
  }

  /** The requests to send now, in order, and the sockets to close. */
  flush(now: number): (SendAction | CloseAction)[] {
    const sends: SendAction[] = []
    for (const pending of this.#pending) {
      const { options, request: bytes } = pending
      if (now < nextSendAt(pending)) continue
      sends.push({ type: 'send', to: options.to, bytes, ...(options.via && { via: options.via }) })
      // A late timer repeats once, not as often as it missed.
      do pending.sent++
      while (now >= nextSendAt(pending))
    }
    return [...sends, ...this.#closeActions.splice(0)]
  }

  nextTimeout(): number | null {
    if (this.#pending.length === 0) return null
    return Math.min(
      ...this.#pending.map((pending) =>
        Math.min(nextSendAt(pending), pending.startedAt + pending.options.patienceMs),
      ),
    )
  }

  #settle(isOver: (pending: Pending) => boolean): void {
    this.#pending = this.#pending.filter((pending) => {
      if (!isOver(pending)) return true
      if (pending.state === 'pending') pending.state = 'silent'
      return false
    })
  }
}

function nextSendAt({ options, startedAt, sent }: Pending): number {
  const after = options.sendAfterMs[sent]
  return after === undefined ? Number.POSITIVE_INFINITY : startedAt + after
}

function isExpected(
  message: StunMessage,
  from: Endpoint,
  { to, elsewhere, echo }: StunRequestOptions,
): boolean {
  // Some NATs hairpin a datagram with its inside address, so an echo may come from any address.
  if (echo || message.type === 'request') return echo === true && message.type === 'request'
  if (!equalEndpoints(from, to) && !(elsewhere && equalEndpoints(from, elsewhere))) return false
  // The mapped address has the family of the response's source.
  return message.type === 'error' || familyOf(message.mapped.address) === familyOf(from.address)
}
