// One attempt to reach one peer by whatever the plan says. Checks, answers and paths are the punch machine's; a tactic
// for hard NATs joins it with probes by further sockets, samples of our NAT's ports, and signals to the peer.

import type { Crypto } from '../base/crypto.ts'
import { addressScope, type Candidate, type Endpoint, familyOf } from '../base/endpoint.ts'
import type { Action, Machine, Via } from '../base/protocol-machine.ts'
import type { Signal } from '../base/signaling-message.ts'
import type { CheckKeys } from './check-packet.ts'
import { createPunch, type Path, type Punch, type PunchEvent } from './connectivity-checks.ts'
import { ProbeScheduler } from './probe-scheduler.ts'
import { isHard, type Plan } from './punch-plan.ts'
import { chooseTactics } from './tactics/choose-tactics.ts'
import { type Tactic, usualMailMs } from './tactics/tactic.ts'

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
  /** What they saw of our main socket last; helps where they disagree later. */
  readonly publicEndpoints?: readonly Endpoint[]
  /** Unix ms at `now`. */
  readonly wallNow: number
  /** How long a letter and its answer took lately; null when unknown. */
  readonly mailMs?: number | null
  /** 0 up to 1. */
  readonly random: () => number
  /** Instead of the plan's. */
  readonly attemptMs?: number
  /** Hops that packets meant only to open our own NAT may live (D3); unlimited when left out. */
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

/** Signals that came before the tactics had begun. */
const maxUnheard = 8
/** When a LAN or IPv6 may do, tactics begin when the peer must have been there for a while. */
const easierPathMs = 10_000
/** Left for direct checks, when sockets have run out. */
const lastChanceMs = 10_000

class PunchAttempt implements Attempt {
  readonly #options: AttemptOptions
  readonly #punch: Punch
  readonly #probeScheduler: ProbeScheduler
  /** Null when there is none, or it has begun. */
  #tacticsAt: number | null
  #tactics: readonly Tactic[] = []
  /** At most maxUnheard. */
  readonly #unheard: Signal[] = []
  #path: Path | null = null
  #failAt: number | null = null
  #socketsFailed = false
  #finished = false
  #actions: Action<AttemptEvent>[] = []

  constructor(options: AttemptOptions) {
    const { crypto, plan, now, wallNow, servers, quietMs, mailMs, bubbleTtl } = options
    const directBudget = isHard(plan) ? plan.directBudget : plan.budget
    this.#options = options
    this.#punch = createPunch({
      crypto,
      keys: options.keys,
      targets: plan.targets,
      budget: directBudget,
      sameNat: options.sameNat,
      now,
      attemptMs: options.attemptMs ?? plan.attemptMs,
      ...(quietMs !== undefined && { quietMs }),
      // One port for each address: what comes from another port there can be answered.
      extraSocketsHear: isHard(plan) && plan.mine.kind === 'assignable' ? 'address' : 'endpoint',
      onLoopback: options.onLoopback ?? false,
    })
    this.#probeScheduler = new ProbeScheduler({
      crypto,
      punch: this.#punch,
      servers,
      ownAddresses: (options.publicEndpoints ?? []).map(({ address }) => address),
      now,
      wallNow,
      budget: plan.budget - directBudget,
      bubbleTtl,
      onAction: (action) => this.#actions.push(action),
      onSignal: (signal) => this.#emit({ type: 'signal', signal }),
    })
    const waitMs = isHard(plan) && plan.hasEasierPath ? easierPathMs + 1.5 * (mailMs ?? usualMailMs) : 0
    this.#tacticsAt = isHard(plan) ? now + waitMs : null
  }

  get packets(): number {
    return this.#punch.packets + this.#probeScheduler.samples
  }

  nextTimeout(): number | null {
    if (this.#finished) return null
    const due = [
      this.#punch.nextTimeout(),
      this.#probeScheduler.nextTimeout(),
      this.#tacticsAt,
      this.#failAt,
      ...this.#tactics.map((tactic) => tactic.nextAt()),
    ].filter((at) => at !== null)
    return due.length > 0 ? Math.min(...due) : null
  }

  handleTimeout(now: number): Action<AttemptEvent>[] {
    if (this.#finished) return []
    if (this.#failAt !== null && now >= this.#failAt) this.#fail()
    if (this.#tacticsAt !== null && now >= this.#tacticsAt) this.#begin(now)
    this.#probeScheduler.repeatSamples(now)
    this.#take(now, this.#punch.handleTimeout(now))
    return this.#advance(now)
  }

  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint, via: Via = 0): Action<AttemptEvent>[] {
    if (this.#finished || (via !== 0 && !this.#probeScheduler.isOpen(via))) return []
    if (!this.#probeScheduler.handleSample(bytes, from, via)) {
      this.#take(now, this.#punch.handleDatagram(now, bytes, from, via))
    }
    return this.#advance(now)
  }

  handleSocketFailure(now: number, via: Via): Action<AttemptEvent>[] {
    if (this.#finished || !this.#probeScheduler.lose(via) || this.#path) return []
    this.#socketsFailed = true
    this.#failAt ??= now + lastChanceMs
    // Whoever runs out of sockets takes them away from the rest of the program, too.
    this.#endTactics()
    return this.#advance(now)
  }

  handleSignal(now: number, signal: Signal): Action<AttemptEvent>[] {
    if (this.#finished || this.#path || !isSensible(signal)) return []
    if (this.#tacticsAt !== null) {
      if (this.#unheard.length < maxUnheard) this.#unheard.push(signal)
      return []
    }
    for (const tactic of this.#tactics) tactic.handleSignal(now, signal)
    return this.#advance(now)
  }

  addTargets(now: number, candidates: readonly Candidate[]): Action<AttemptEvent>[] {
    if (this.#finished) return []
    this.#take(now, this.#punch.addTargets(now, candidates))
    return this.#advance(now)
  }

  stop(): void {
    this.#finished = true
    this.#tacticsAt = null
    this.#tactics = []
    this.#punch.stop()
  }

  #begin(now: number): void {
    const { plan, role, mailMs, random } = this.#options
    this.#tacticsAt = null
    if (!isHard(plan)) return
    this.#tactics = chooseTactics({
      plan,
      probeSender: this.#probeScheduler,
      now,
      role,
      mailMs: mailMs ?? null,
      random,
    })
    for (const signal of this.#unheard.splice(0)) {
      for (const tactic of this.#tactics) tactic.handleSignal(now, signal)
    }
  }

  /** After whatever happened: tactics go on, and what may go out goes out. */
  #advance(now: number): Action<AttemptEvent>[] {
    for (const tactic of this.#tactics) tactic.act(now)
    if (this.#probeScheduler.launch(now)) for (const tactic of this.#tactics) tactic.act(now)
    const actions = this.#actions
    this.#actions = []
    return actions
  }

  #take(now: number, actions: readonly Action<PunchEvent>[]): void {
    for (const action of actions) {
      if (action.type === 'event') this.#handle(action.event)
      else {
        this.#probeScheduler.charge(now, 1)
        this.#actions.push(action)
      }
    }
  }

  #handle(event: PunchEvent): void {
    switch (event.type) {
      case 'failed':
        this.#fail()
        return
      case 'done':
        this.#end()
        break
      case 'path':
      case 'better-path':
        this.#path = event.path
        this.#failAt = null
        this.#endTactics()
        break
    }
    this.#emit({ ...event, packets: this.packets })
  }

  /** Sockets that the peer was heard by stay: it may be in the middle of confirming. */
  #endTactics(): void {
    this.#tacticsAt = null
    this.#tactics = []
    this.#probeScheduler.cease((via) => via === this.#path?.via || this.#punch.heardBy(via))
  }

  #fail(): void {
    const failures = this.#tactics.map(({ failure }) => failure).filter((failure) => failure !== null)
    const reason = this.#socketsFailed ? 'too-few-sockets' : (failures[0] ?? 'no-answer')
    const { packets } = this
    this.#end()
    this.#emit({ type: 'failed', reason, packets })
  }

  /** All extra sockets are closed, but for that of the path. */
  #end(): void {
    this.stop()
    this.#probeScheduler.cease((via) => via === this.#path?.via)
  }

  #emit(event: AttemptEvent): void {
    this.#actions.push({ type: 'event', event })
  }
}

/** Where packets could go in earnest; everything else of a signal was checked when it was read. */
function isSensible(signal: Signal): boolean {
  if (signal.type === 'search') return true
  return familyOf(signal.address) === 4 && addressScope(signal.address) === 'public'
}
