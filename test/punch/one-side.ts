// One side of an attempt without a real peer. Its NAT is a counter that STUN servers report. A test provides
// the peer's signals and packets.

import assert from 'node:assert/strict'
import { type Endpoint, parseEndpoint } from '../../src/base/endpoint.ts'
import type { Allocation, Filtering, Mapping, NatProfile } from '../../src/base/nat-profile.ts'
import type { Action, SendAction, Via } from '../../src/base/protocol-machine.ts'
import type { Signal } from '../../src/base/signaling-message.ts'
import { decodeStun, encodeSuccess, isStun } from '../../src/nat/stun-message.ts'
import { openCheck, sealCheck } from '../../src/punch/check-packet.ts'
import {
  type Attempt,
  type AttemptEvent,
  type AttemptOptions,
  createAttempt,
} from '../../src/punch/punch-attempt.ts'
import { type HardPlan, isHard, plan } from '../../src/punch/punch-plan.ts'
import { seededCrypto, seededRandom } from '../harness/seeded-crypto.ts'
import { pairKeys } from '../harness/simulator/world.ts'

const { a, b } = pairKeys(1)
const crypto = seededCrypto(5)

export const at = (text: string): Endpoint => {
  const endpoint = parseEndpoint(text)
  assert.ok(endpoint, text)
  return endpoint
}

export const ours = at('11.0.0.1:4000')
export const peer = at('11.0.0.2:5000')
const servers = [at('11.0.9.1:3478'), at('11.0.9.2:3478')]
const rttMs = 40

export const nat = (mapping: Mapping, filtering: Filtering, allocation: Allocation): NatProfile => ({
  mapping,
  filtering,
  allocation,
})
export const counting = nat('APDM', 'APDF', { type: 'sequential', step: 1 })
export const assignable = nat('ADM', 'ADF', { type: 'sequential', step: 1 })
export const random = nat('APDM', 'APDF', { type: 'random' })
export const fixed = nat('EIM', 'APDF', { type: 'preserving' })

export type Sent = {
  readonly at: number
  readonly to: Endpoint
  readonly via: Via
  readonly bytes: Uint8Array
  readonly ttl: number | undefined
}

export type OneSideOptions = Partial<AttemptOptions> & {
  /** How our NAT chooses the next port from the last one; one higher by default. */
  readonly nextPort?: (last: number) => number
}

export class OneSide {
  readonly plan: HardPlan
  readonly attempt: Attempt
  readonly sent: Sent[] = []
  readonly signals: { readonly at: number; readonly signal: Signal }[] = []
  readonly open = new Set<Via>()
  ended: (AttemptEvent & { type: 'failed' | 'done' }) | null = null
  path: (AttemptEvent & { type: 'path' }) | null = null
  now = 0
  /** The last port that our NAT gave, and how it chooses the next. */
  counter = 30_000
  nextPort: (last: number) => number
  /** Mappings of our NAT: port by socket and destination. */
  readonly ports = new Map<string, number>()
  #pending: { readonly at: number; readonly deliver: () => void }[] = []
  #sequence = 1

  constructor(
    mine: NatProfile,
    theirs: NatProfile,
    { nextPort = (last: number) => last + 1, ...changes }: OneSideOptions = {},
  ) {
    const chosenPlan = plan(
      { nat: mine, candidates: [{ kind: 'server-reflexive', endpoint: ours }] },
      { nat: theirs, candidates: [{ kind: 'server-reflexive', endpoint: peer }], sameNat: false },
    )
    assert.ok(chosenPlan.strategy !== 'none' && isHard(chosenPlan))
    this.plan = chosenPlan
    this.nextPort = nextPort
    this.attempt = createAttempt({
      crypto: seededCrypto(3),
      keys: a,
      plan: chosenPlan,
      sameNat: false,
      now: 0,
      role: 'opener',
      servers,
      wallNow: 1_000_000,
      mailMs: 2_000,
      random: seededRandom(7),
      ...changes,
    })
    this.run(0)
  }

  /** Advances time. */
  run(forMs: number): void {
    const until = this.now + forMs
    for (;;) {
      const due = Math.min(
        this.attempt.nextTimeout() ?? Number.POSITIVE_INFINITY,
        this.#pending[0]?.at ?? Number.POSITIVE_INFINITY,
      )
      if (due > until) break
      this.now = Math.max(this.now, due)
      const next = this.#pending[0]
      if (next && next.at <= this.now) {
        this.#pending.shift()
        next.deliver()
      } else this.#perform(this.attempt.handleTimeout(this.now))
    }
    this.now = until
  }

  handleSignal(signal: Signal): void {
    this.#perform(this.attempt.handleSignal(this.now, signal))
  }

  /** The peer's check arrives on our socket `via`. */
  receiveCheck(from: Endpoint, via: Via): void {
    const bytes = sealCheck(crypto, b, { type: 'check', sequence: this.#sequence++ })
    this.#perform(this.attempt.handleDatagram(this.now, bytes, from, via))
  }

  /** The peer confirms the check `sent`. */
  confirm({ bytes, to, via }: Sent): void {
    const opened = openCheck(crypto, b, bytes)
    assert.equal(opened?.type, 'check')
    const packet = {
      type: 'confirm',
      sequence: this.#sequence++,
      confirms: opened.sequence,
      observed: ours,
    } as const
    this.#perform(this.attempt.handleDatagram(this.now, sealCheck(crypto, b, packet), to, via))
  }

  failSocket(via: Via): void {
    assert.ok(this.open.delete(via))
    this.#perform(this.attempt.handleSocketFailure(this.now, via))
  }

  /** Checks from extra sockets, or from the main one to endpoints that no candidate named. */
  get probes(): Sent[] {
    return this.sent.filter(({ bytes, to, via }) => !isStun(bytes) && (via !== 0 || to.port !== peer.port))
  }

  get lastSignal(): Signal | null {
    return this.signals.at(-1)?.signal ?? null
  }

  portOf({ via, to }: Sent): number | undefined {
    return this.ports.get(`${via} ${to.address} ${to.port}`)
  }

  #perform(actions: readonly Action<AttemptEvent>[]): void {
    for (const action of actions) {
      if (action.type === 'close') this.open.delete(action.via)
      else if (action.type === 'event') this.#emit(action.event)
      else this.#send(action)
    }
  }

  #emit(event: AttemptEvent): void {
    if (event.type === 'signal') this.signals.push({ at: this.now, signal: event.signal })
    else if (event.type === 'failed' || event.type === 'done') this.ended = event
    else if (event.type === 'path') this.path = event
  }

  #send({ bytes, to, via = 0, ttl }: SendAction): void {
    if (via !== 0) this.open.add(via)
    this.sent.push({ at: this.now, to, via, bytes, ttl })
    const key = `${via} ${to.address} ${to.port}`
    let port = this.ports.get(key)
    if (port === undefined) {
      port = this.nextPort(this.counter)
      this.counter = port
      this.ports.set(key, port)
    }
    if (!isStun(bytes)) return
    const decoding = decodeStun(bytes)
    assert.ok(decoding.ok)
    const { transactionId } = decoding.message
    const reply = encodeSuccess({ transactionId, mapped: { address: ours.address, port } })
    this.#pending.push({
      at: this.now + rttMs,
      deliver: () => this.#perform(this.attempt.handleDatagram(this.now, reply, to, via)),
    })
  }
}
