// Asks STUN servers from fresh sockets which port our NAT gives next. A question that is repeated goes by the same
// socket to the same server, so its mapping is the one that the first copy made.

import { equalBytes } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { type Endpoint, equalEndpoints, familyOf } from '../base/endpoint.ts'
import type { SendAction, Via } from '../base/protocol-machine.ts'
import { decodeStun, encodeRequest, transactionIdBytes } from '../nat/stun-message.ts'

/** One question. `mapped` is null until it is answered, and stays so when `isSettled` without an answer. */
export type Sample = { readonly via: Via; mapped: Endpoint | null; isSettled: boolean }

type Question = {
  readonly sample: Sample
  readonly server: Endpoint
  readonly transactionId: Uint8Array
  readonly request: Uint8Array
  sent: number
  nextAt: number
}

/** Waits after the first, second, … copy. The last one is patience. */
const waitsMs = [350, 700, 1_500] as const

export class PortSampler {
  readonly #crypto: Pick<Crypto, 'randomBytes'>
  readonly #servers: readonly Endpoint[]
  /** By socket; those under way, which pacing keeps few. */
  readonly #questions = new Map<Via, Question>()
  #nextServer: number
  /** Answers so far, from whomever. */
  answers = 0

  /** `firstServer`: any number; with which of the servers it begins. */
  constructor(crypto: Pick<Crypto, 'randomBytes'>, servers: readonly Endpoint[], firstServer = 0) {
    this.#crypto = crypto
    // What a NAT for IPv4 does, only IPv4 can tell.
    this.#servers = servers.filter(({ address }) => familyOf(address) === 4)
    this.#nextServer = firstServer
  }

  get hasServers(): boolean {
    return this.#servers.length > 0
  }

  /** Servers are asked one after the other, so that one that lies or is silent spoils only its own answers. Null when there is none. */
  ask(now: number, sample: Sample): SendAction | null {
    const server = this.#servers[this.#nextServer++ % Math.max(1, this.#servers.length)]
    if (!server) {
      sample.isSettled = true
      return null
    }
    const transactionId = this.#crypto.randomBytes(transactionIdBytes)
    const request = encodeRequest(transactionId)
    const question = { sample, server, transactionId, request, sent: 0, nextAt: now }
    this.#questions.set(sample.via, question)
    return this.#send(now, question)
  }

  /** The sample that is settled by this datagram, if any. */
  handleDatagram(bytes: Uint8Array, from: Endpoint, via: Via): Sample | null {
    const question = this.#questions.get(via)
    if (!question || !equalEndpoints(question.server, from)) return null
    const decoding = decodeStun(bytes)
    if (!decoding.ok || decoding.message.type === 'request') return null
    const { message } = decoding
    if (!equalBytes(message.transactionId, question.transactionId)) return null
    if (message.type === 'success' && familyOf(message.mapped.address) === 4) {
      question.sample.mapped = message.mapped
      this.answers++
    }
    return this.#settle(question)
  }

  /** What to send again, and the samples that are given up. `mayRepeat`: copies that may still be sent. */
  handleTimeout(now: number, mayRepeat: number): { sends: SendAction[]; settled: Sample[] } {
    const sends: SendAction[] = []
    const settled: Sample[] = []
    for (const question of [...this.#questions.values()]) {
      if (question.nextAt > now) continue
      if (question.sent < waitsMs.length && sends.length < mayRepeat) sends.push(this.#send(now, question))
      else settled.push(this.#settle(question))
    }
    return { sends, settled }
  }

  giveUp(via: Via): Sample | null {
    const question = this.#questions.get(via)
    return question ? this.#settle(question) : null
  }

  nextTimeout(): number | null {
    let next: number | null = null
    for (const { nextAt } of this.#questions.values()) if (next === null || nextAt < next) next = nextAt
    return next
  }

  clear(): void {
    this.#questions.clear()
  }

  #send(now: number, question: Question): SendAction {
    question.nextAt = now + (waitsMs[question.sent] ?? 0)
    question.sent++
    return { type: 'send', to: question.server, bytes: question.request, via: question.sample.via }
  }

  #settle(question: Question): Sample {
    this.#questions.delete(question.sample.via)
    question.sample.isSettled = true
    return question.sample
  }
}
