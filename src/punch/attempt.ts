// One attempt to reach one peer by whatever the plan says. Checks, answers and paths are the punch machine's; a tactic
// for hard NATs joins it with probes by further sockets, samples of our NAT's ports, and signals to the peer.

import type { Crypto } from '../base/crypto.ts'
import type { Candidate, Endpoint } from '../base/endpoint.ts'
import type { Action, Machine, Via } from '../base/machine.ts'
import type { Signal } from '../base/signal.ts'
import type { CheckKeys } from './check.ts'
import type { Plan } from './plan.ts'
import { createPunch, type Punch, type PunchEvent } from './punch.ts'

export type AttemptFailure =
  /** Nothing came through in time. */
  | 'no-answer'
  /** The system gives fewer sockets than the tactic needs. */
  | 'too-few-sockets'
  /** No STUN server answered, so nobody knows which ports our NAT gives us. */
  | 'no-samples'
  /** Our NAT gives ports in no order, though it was known for one. */
  | 'unpredictable-ports'

export type AttemptEvent =
  | Exclude<PunchEvent, { type: 'failed' }>
  | { readonly type: 'failed'; readonly reason: AttemptFailure; readonly packets: number }
  /** To be sent to the peer. */
  | { readonly type: 'signal'; readonly signal: Signal }

export type AttemptOptions = {
  readonly crypto: Pick<Crypto, 'randomBytes' | 'encrypt' | 'decrypt'>
  readonly keys: CheckKeys
  readonly plan: Exclude<Plan, { strategy: 'none' }>
  readonly sameNat: boolean
  readonly now: number
  /** Of the pair's keys: who does what where both NATs are alike. */
  readonly role: 'opener' | 'responder'
  /** STUN servers, resolved, that tell which ports our NAT gives us. */
  readonly servers: readonly Endpoint[]
  /** What they saw of our main socket last. */
  readonly publicEndpoints: readonly Endpoint[]
  /** Unix ms at `now`. */
  readonly wallNow: number
  /** How long a letter and its answer took lately; null when unknown. */
  readonly mailMs?: number | null
  /** 0 up to 1. */
  readonly random: () => number
  /** Instead of the plan's. */
  readonly attemptMs?: number
  /** Hops that packets meant only to open our own NAT may live (mission D3); unlimited when left out. */
  readonly bubbleTtl?: number
  /** How long after a path the peer may still need our answers. */
  readonly quietMs?: number
  /** Loopback is used only when our own socket is on loopback (demo and tests). */
  readonly onLoopback?: boolean
}

export interface Attempt extends Machine<AttemptEvent> {
  /** Everything sent so far, samples too. */
  readonly packets: number
  /** Candidates learned later. Known ones, and those beyond the bound, are ignored. */
  addTargets(now: number, candidates: readonly Candidate[]): Action<AttemptEvent>[]
  /** From the peer, and authentic; one that is late, double or absurd has no effect. */
  handleSignal(now: number, signal: Signal): Action<AttemptEvent>[]
  handleSocketFailure(now: number, via: Via): Action<AttemptEvent>[]
  /** Nothing is sent or answered afterwards. The owner closes the extra sockets, but for a path's in use. */
  stop(): void
}

export function createAttempt(options: AttemptOptions): Attempt {
  return new PunchAttempt(options)
}

class PunchAttempt implements Attempt {
  readonly #punch: Punch

  constructor(options: AttemptOptions) {
    const { plan, attemptMs, quietMs } = options
    this.#punch = createPunch({
      crypto: options.crypto,
      keys: options.keys,
      targets: plan.targets,
      budget: plan.budget,
      sameNat: options.sameNat,
      now: options.now,
      attemptMs: attemptMs ?? plan.attemptMs,
      ...(quietMs !== undefined && { quietMs }),
      onLoopback: options.onLoopback ?? false,
    })
  }

  get packets(): number {
    return this.#punch.packets
  }

  nextTimeout(): number | null {
    return this.#punch.nextTimeout()
  }

  handleTimeout(now: number): Action<AttemptEvent>[] {
    return this.#punch.handleTimeout(now)
  }

  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint, via: Via = 0): Action<AttemptEvent>[] {
    return this.#punch.handleDatagram(now, bytes, from, via)
  }

  handleSocketFailure(_now: number, _via: Via): Action<AttemptEvent>[] {
    return []
  }

  handleSignal(_now: number, _signal: Signal): Action<AttemptEvent>[] {
    return []
  }

  addTargets(now: number, candidates: readonly Candidate[]): Action<AttemptEvent>[] {
    return this.#punch.addTargets(now, candidates)
  }

  stop(): void {
    this.#punch.stop()
  }
}
