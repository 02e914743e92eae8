// STUN questions under way, by the main socket and by sockets of our own: sent, repeated, matched with their answers,
// given up. What an answer means is for those who asked.

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

type Ask = {
  readonly to: Endpoint
  /** The main socket when left out. */
  readonly via?: Via
  readonly response?: ResponseOptions
  /** Another place that the answer may come from. */
  readonly elsewhere?: Endpoint
  /** The socket that it comes to, if not `via`. */
  readonly answerVia?: Via
  /** Not the answer is waited for but the question itself, which our own NAT is to turn back to us. */
  readonly echo?: boolean
  /** When it is sent, counted from now, in order. */
  readonly sendAfterMs: readonly number[]
  /** From now; after it the question counts as unanswered. */
  readonly patienceMs: number
}

/** `refused`: answered with an error. `silent`: no answer in time, or the socket could not be had. */
export type Question = {
  readonly to: Endpoint
  readonly state: 'open' | 'answered' | 'refused' | 'silent'
  /** With `answered` only, and not of an echo. */
  readonly mapped: Endpoint | null
  readonly otherAddress: Endpoint | null
  readonly answeredFrom: Endpoint | null
  readonly answeredAt: number
  /** Null where it was sent more than once before the answer came. */
  readonly rttMs: number | null
}

type Pending = { -readonly [Key in keyof Question]: Question[Key] } & {
  readonly ask: Ask
  readonly transactionId: Uint8Array
  readonly request: Uint8Array
  readonly askedAt: number
  sent: number
}

/** Of a server that was asked twice before it answered we do not know the time it takes. */
export const usualRttMs = 200

/** Four times, as filters that let nothing in look just like losses. `rttMs`: what the server took before. */
export function patiently(rttMs: number | null): Pick<Ask, 'sendAfterMs' | 'patienceMs'> {
  const rtt = rttMs ?? usualRttMs
  // Not shorter however near the server: a busy computer may take a while to read what has arrived.
  const gapMs = Math.min(400, Math.max(100, rtt * 1.5))
  return { sendAfterMs: [0, gapMs, gapMs * 2, gapMs * 3], patienceMs: gapMs * 3 + Math.max(200, rtt * 2) }
}

/** Open at once; whoever asks beyond it gets a question that is silent from the start. */
const maxOpen = 128

export class StunClient {
  readonly #crypto: Pick<Crypto, 'randomBytes'>
  #open: Pending[] = []
  readonly #closing: CloseAction[] = []
  #lastVia: Via = 0

  constructor(crypto: Pick<Crypto, 'randomBytes'>) {
    this.#crypto = crypto
  }

  /** A socket of our own, with a port that nobody knows yet. */
  newSocket(): Via {
    return ++this.#lastVia
  }

  /** What was asked by it, or is waited for there, is given up. */
  close(via: Via): void {
    this.fail(via)
    this.#closing.push({ type: 'close', via })
  }

  fail(via: Via): void {
    this.#settle(({ ask }) => ask.via === via || ask.answerVia === via)
  }

  giveUp(questions: readonly Question[]): void {
    this.#settle((pending) => questions.includes(pending))
  }

  ask(now: number, ask: Ask): Question {
    const transactionId = this.#crypto.randomBytes(transactionIdBytes)
    const pending: Pending = {
      ask,
      to: ask.to,
      state: 'open',
      mapped: null,
      otherAddress: null,
      answeredFrom: null,
      answeredAt: now,
      rttMs: null,
      transactionId,
      request: encodeRequest(transactionId, ask.response),
      askedAt: now,
      sent: 0,
    }
    if (this.#open.length < maxOpen) this.#open.push(pending)
    else pending.state = 'silent'
    return pending
  }

  /** Whether a question was settled by it. */
  take(now: number, bytes: Uint8Array, from: Endpoint, via: Via): boolean {
    if (this.#open.length === 0) return false
    const decoding = decodeStun(bytes)
    if (!decoding.ok) return false
    const { message } = decoding
    const pending = this.#open.find(({ transactionId }) => equalBytes(transactionId, message.transactionId))
    if (!pending || via !== (pending.ask.answerVia ?? pending.ask.via ?? 0)) return false
    if (!fits(message, from, pending.ask)) return false
    pending.state = message.type === 'error' ? 'refused' : 'answered'
    pending.answeredFrom = from
    pending.answeredAt = now
    if (pending.sent === 1) pending.rttMs = now - pending.askedAt
    if (message.type === 'success') {
      pending.mapped = message.mapped
      pending.otherAddress = message.otherAddress ?? null
    }
    this.#settle((other) => other === pending)
    return true
  }

  /** Questions whose patience is over count as silent from now on. */
  expire(now: number): void {
    this.#settle(({ ask, askedAt }) => now >= askedAt + ask.patienceMs)
  }

  /** What is to be sent now, in the order in which it was asked, and the sockets to close. */
  flush(now: number): (SendAction | CloseAction)[] {
    const sends: SendAction[] = []
    for (const pending of this.#open) {
      const { ask, request: bytes } = pending
      if (now < nextSending(pending)) continue
      sends.push({ type: 'send', to: ask.to, bytes, ...(ask.via && { via: ask.via }) })
      // A timer that came late repeats once, not all that it missed.
      do pending.sent++
      while (now >= nextSending(pending))
    }
    return [...sends, ...this.#closing.splice(0)]
  }

  nextTimeout(): number | null {
    if (this.#open.length === 0) return null
    return Math.min(
      ...this.#open.map((pending) =>
        Math.min(nextSending(pending), pending.askedAt + pending.ask.patienceMs),
      ),
    )
  }

  #settle(isOver: (pending: Pending) => boolean): void {
    this.#open = this.#open.filter((pending) => {
      if (!isOver(pending)) return true
      if (pending.state === 'open') pending.state = 'silent'
      return false
    })
  }
}

function nextSending({ ask, askedAt, sent }: Pending): number {
  const after = ask.sendAfterMs[sent]
  return after === undefined ? Number.POSITIVE_INFINITY : askedAt + after
}

function fits(message: StunMessage, from: Endpoint, { to, elsewhere, echo }: Ask): boolean {
  // Some NATs turn a datagram back with its inside address, so an echo may come from anywhere.
  if (echo || message.type === 'request') return echo === true && message.type === 'request'
  if (!equalEndpoints(from, to) && !(elsewhere && equalEndpoints(from, elsewhere))) return false
  // Our own address is of the family we asked by.
  return message.type === 'error' || familyOf(message.mapped.address) === familyOf(from.address)
}
