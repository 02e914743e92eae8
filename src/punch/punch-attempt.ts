// One attempt to reach a peer as the plan says. The punch machine does checks, answers and paths. For hard
// NATs, tactics add probes from further sockets, samples of our NAT's ports, and signals to the peer.

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
  /** No packet of the peer arrived in time. */
  | 'no-answer'
  /** The system allows fewer sockets than the tactic needs. */
  | 'too-few-sockets'
  /** No STUN server answered, so the ports of our NAT are unknown. */
  | 'no-samples'
  /** Our NAT chooses ports in no order, although it was classified otherwise. */
  | 'unpredictable-ports'

export type AttemptEvent =
  | Exclude<PunchEvent, { type: 'failed' }>
  | { readonly type: 'failed'; readonly reason: AttemptFailure; readonly packets: number }
  /** A signal to send to the peer. */
  | { readonly type: 'signal'; readonly signal: Signal }

export type AttemptOptions = {
  readonly crypto: Pick<Crypto, 'randomBytes' | 'encrypt' | 'decrypt'>
  readonly keys: CheckKeys
  readonly plan: Exclude<Plan, { strategy: 'none' }>
  readonly sameNat: boolean
  readonly now: number
  /** Our role in the pair: decides who does what when both NATs are alike. */
  readonly role: 'opener' | 'responder'
  /** Resolved STUN servers, to sample the ports of our NAT. */
  readonly servers: readonly Endpoint[]
  /** Our main socket's endpoints as the servers saw them last; helps when they disagree later. */
  readonly publicEndpoints?: readonly Endpoint[]
  /** Unix ms at `now`. */
  readonly wallNow: number
  /** How long a letter and its answer took lately, in ms; null when unknown. */
  readonly mailMs?: number | null
  /** 0 up to 1. */
  readonly random: () => number
  /** Replaces the plan's `attemptMs`. */
  readonly attemptMs?: number
  /** Hop limit of packets that only open our own NAT (D3); unlimited when left out. */
  readonly bubbleTtl?: number
  /** How long the peer may still need our answers after a path is proven. */
  readonly quietMs?: number
  /** Loopback is used only when our own socket is on loopback (demo and tests). */
  readonly onLoopback?: boolean
}

export interface Attempt extends Machine<AttemptEvent> {
  /** All packets sent so far, including samples. */
  readonly packets: number
  /** Adds candidates learned later. Ignores known ones and those beyond the bound. */
  addTargets(now: number, candidates: readonly Candidate[]): Action<AttemptEvent>[]
  /** An authentic signal of the peer. Late, repeated or absurd ones have no effect. */
  handleSignal(now: number, signal: Signal): Action<AttemptEvent>[]
  handleSocketFailure(now: number, via: Via): Action<AttemptEvent>[]
  /**
   * Nothing is sent or answered afterwards. The owner closes the extra sockets, except that of a path in use.
   */
  stop(): void
}

export function createAttempt(options: AttemptOptions): Attempt {
  return new PunchAttempt(options)
}

/** Signals kept until the tactics begin. */
const maxEarlySignals = 8
/** When a LAN or IPv6 path may work, tactics wait until the peer must have been active for so long. */
const easierPathMs = 10_000
/** Time left for direct checks when no sockets are left. */
const lastChanceMs = 10_000

class PunchAttempt implements Attempt {
  readonly #options: AttemptOptions
  readonly #punch: Punch
  readonly #probeScheduler: ProbeScheduler
  /** When tactics begin; null when there are none or they have begun. */
  #tacticsAt: number | null
  #tactics: readonly Tactic[] = []
  /** At most maxEarlySignals. */
  readonly #earlySignals: Signal[] = []
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
      // With one port per address, packets from another port of that address can be answered.
      extraSocketScope: isHard(plan) && plan.mine.kind === 'assignable' ? 'address' : 'endpoint',
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
    this.#applyActions(now, this.#punch.handleTimeout(now))
    return this.#advance(now)
  }

  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint, via: Via = 0): Action<AttemptEvent>[] {
    if (this.#finished || (via !== 0 && !this.#probeScheduler.isOpen(via))) return []
    if (!this.#probeScheduler.handleSample(bytes, from, via)) {
      this.#applyActions(now, this.#punch.handleDatagram(now, bytes, from, via))
    }
    return this.#advance(now)
  }

  handleSocketFailure(now: number, via: Via): Action<AttemptEvent>[] {
    if (this.#finished || !this.#probeScheduler.handleSocketFailure(via) || this.#path) return []
    this.#socketsFailed = true
    this.#failAt ??= now + lastChanceMs
    // When sockets run out, the rest of the program needs them too.
    this.#endTactics()
    return this.#advance(now)
  }

  handleSignal(now: number, signal: Signal): Action<AttemptEvent>[] {
    if (this.#finished || this.#path || !isUsableSignal(signal)) return []
    if (this.#tacticsAt !== null) {
      if (this.#earlySignals.length < maxEarlySignals) this.#earlySignals.push(signal)
      return []
    }
    for (const tactic of this.#tactics) tactic.handleSignal(now, signal)
    return this.#advance(now)
  }

  addTargets(now: number, candidates: readonly Candidate[]): Action<AttemptEvent>[] {
    if (this.#finished) return []
    this.#applyActions(now, this.#punch.addTargets(now, candidates))
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
    for (const signal of this.#earlySignals.splice(0)) {
      for (const tactic of this.#tactics) tactic.handleSignal(now, signal)
    }
  }

  /** Runs the tactics and sends what may be sent. */
  #advance(now: number): Action<AttemptEvent>[] {
    for (const tactic of this.#tactics) tactic.act(now)
    if (this.#probeScheduler.sendDue(now)) for (const tactic of this.#tactics) tactic.act(now)
    const actions = this.#actions
    this.#actions = []
    return actions
  }

  #applyActions(now: number, actions: readonly Action<PunchEvent>[]): void {
    for (const action of actions) {
      if (action.type === 'event') this.#handlePunchEvent(action.event)
      else {
        this.#probeScheduler.charge(now, 1)
        this.#actions.push(action)
      }
    }
  }

  #handlePunchEvent(event: PunchEvent): void {
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

  /** Sockets that received the peer's packets stay open: a confirmation may be in transit. */
  #endTactics(): void {
    this.#tacticsAt = null
    this.#tactics = []
    this.#probeScheduler.stopSending((via) => via === this.#path?.via || this.#punch.hasReceivedOn(via))
  }

  #fail(): void {
    const failures = this.#tactics.map(({ failure }) => failure).filter((failure) => failure !== null)
    const reason = this.#socketsFailed ? 'too-few-sockets' : (failures[0] ?? 'no-answer')
    const { packets } = this
    this.#end()
    this.#emit({ type: 'failed', reason, packets })
  }

  /** Closes all extra sockets except that of the path. */
  #end(): void {
    this.stop()
    this.#probeScheduler.stopSending((via) => via === this.#path?.via)
  }

  #emit(event: AttemptEvent): void {
    this.#actions.push({ type: 'event', event })
  }
}

/** Whether the signal names a usable address; its other fields were checked when it was decoded. */
function isUsableSignal(signal: Signal): boolean {
  if (signal.type === 'search') return true
  return familyOf(signal.address) === 4 && addressScope(signal.address) === 'public'
}
