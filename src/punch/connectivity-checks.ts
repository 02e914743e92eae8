// One attempt to reach a peer on all its candidates at once (C3). Checks go to every target. The receiver
// confirms a check to its source, and sends its own check back at once (a triggered check, RFC 8445 §7.3.1.4).
// A confirmation of our check that comes from where the check was sent proves the path in both directions.
//
//              confirmation                    silent for quietMs
//   searching ──────────────▶ found (answers) ──────────────────▶ finished
//        │ attemptMs over                                            ▲
//        └───────────────────────────────────────────────────────────┘

import type { Crypto } from '../base/crypto.ts'
import type { Candidate, CandidateKind, Endpoint } from '../base/endpoint.ts'
import type { Action, Machine, SendAction, Via } from '../base/protocol-machine.ts'
import { burstChecks, gapAfterCheck, type PacedTarget, quickChecksFor } from './check-pacing.ts'
import { type CheckKeys, type CheckPacket, openCheck, sealCheck } from './check-packet.ts'
import { isLan, isUsable, lowestRank, maxTargets, rankOf } from './check-targets.ts'
import { PairSelection, pathKey, type ReceiveScope } from './pair-selection.ts'

export type Path = {
  readonly kind: 'lan' | 'direct'
  readonly remote: Endpoint
  /** Our own endpoint as the peer sees it on this path. */
  readonly local: Endpoint
  readonly candidateKind: CandidateKind
  /** Our socket of this path; 0 is the main one. */
  readonly via: Via
}

export type PunchEvent =
  /** The first path proven in both directions. `packets`: sent by us so far, including confirmations. */
  | { readonly type: 'path'; readonly path: Path; readonly packets: number }
  /** A path of higher rank (lan, then IPv6, then the rest) was proven later. */
  | { readonly type: 'better-path'; readonly path: Path; readonly packets: number }
  /** No path within `attemptMs`; the machine is finished. */
  | { readonly type: 'failed'; readonly reason: 'no-answer'; readonly packets: number }
  /** After a path: the peer is silent, so nobody needs our answers any more; the machine is finished. */
  | { readonly type: 'done'; readonly packets: number }

export type PunchOptions = {
  readonly crypto: Pick<Crypto, 'randomBytes' | 'encrypt' | 'decrypt'>
  readonly keys: CheckKeys
  /** The plan's targets. May be empty when the peer must reach us. */
  readonly targets: readonly Candidate[]
  /** Packets we may send; never exceeded. */
  readonly budget: number
  readonly sameNat: boolean
  readonly now: number
  /** Counted from `now`; 120 s by default. */
  readonly attemptMs?: number
  /** How long the peer may still need our answers after a path is proven. Default 20 s. */
  readonly quietMs?: number
  readonly extraSocketScope?: ReceiveScope
  /** Loopback targets are used only when our own socket is on loopback (demo and tests). */
  readonly onLoopback?: boolean
}

export interface Punch extends Machine<PunchEvent> {
  /** Adds candidates learned later. Ignores known ones and those beyond the bound. */
  addTargets(now: number, candidates: readonly Candidate[]): Action<PunchEvent>[]
  /**
   * One check outside the budget, which the caller must bound. A confirmation of it proves a path. Null when
   * this destination is not allowed or the attempt is over.
   */
  probe(to: Endpoint, via: Via, ttl?: number): SendAction | null
  /** Whether a packet of the peer arrived on this socket. */
  hasReceivedOn(via: Via): boolean
  /** The socket is closed. */
  dropSocket(via: Via): void
  /** Nothing is sent or answered afterwards. */
  stop(): void
  /** Packets sent so far. */
  readonly packets: number
}

/** Unannounced endpoints from which the peer's packets are answered. */
const maxPeerReflexive = 4
/** Minimum gap between two checks to one target, however often the peer's packets arrive. */
const minCheckGapMs = 50

export function createPunch(options: PunchOptions): Punch {
  return new ConnectivityChecks(options)
}

type Target = PacedTarget & {
  readonly candidate: Candidate
  readonly via: Via
  readonly rank: number
  /** Null when no further check is due. */
  nextAt: number | null
  lastCheckAt: number
  isTriggered: boolean
  confirmed: boolean
}

class ConnectivityChecks implements Punch {
  readonly #crypto: PunchOptions['crypto']
  readonly #keys: CheckKeys
  readonly #sameNat: boolean
  readonly #onLoopback: boolean
  readonly #budget: number
  /** The rest of the budget is kept for answers and triggered checks, which complete the connection. */
  readonly #checkBudget: number
  readonly #quietMs: number
  readonly #deadline: number
  /** By `pathKey`; at most maxTargets + maxPeerReflexive, plus those of confirmed probes. */
  readonly #targets = new Map<string, Target>()
  readonly #pairSelection: PairSelection
  #sequence: number
  /** Packets within the budget. */
  #packets = 0
  /** Packets outside the budget. */
  #probes = 0
  #checks = 0
  #best: Target | null = null
  #lastReceivedAt = 0
  #finished = false

  constructor(options: PunchOptions) {
    this.#crypto = options.crypto
    this.#keys = options.keys
    this.#sameNat = options.sameNat
    this.#onLoopback = options.onLoopback ?? false
    this.#pairSelection = new PairSelection(options.extraSocketScope ?? 'endpoint')
    this.#budget = options.budget
    this.#checkBudget = Math.ceil((options.budget * 2) / 3)
    this.#quietMs = options.quietMs ?? 20_000
    this.#deadline = options.now + (options.attemptMs ?? 120_000)
    // From a random start, so that a recorded confirmation of an earlier attempt fits no check of this one.
    this.#sequence = new DataView(Uint8Array.from(options.crypto.randomBytes(4)).buffer).getUint32(0)
    this.#add(options.now, options.targets)
  }

  get packets(): number {
    return this.#packets + this.#probes
  }

  nextTimeout(): number | null {
    if (this.#finished) return null
    let next = this.#endsAt()
    for (const { nextAt } of this.#targets.values()) if (nextAt !== null && nextAt < next) next = nextAt
    return next
  }

  handleTimeout(now: number): Action<PunchEvent>[] {
    if (this.#finished) return []
    if (now >= this.#endsAt()) {
      this.stop()
      const { packets } = this
      return [
        {
          type: 'event',
          event: this.#best ? { type: 'done', packets } : { type: 'failed', reason: 'no-answer', packets },
        },
      ]
    }
    const due = [...this.#targets.values()]
      .filter(({ nextAt }) => nextAt !== null && nextAt <= now)
      .sort((a, b) => b.rank - a.rank)
    return due.flatMap((target) => this.#check(now, target))
  }

  handleDatagram(now: number, bytes: Uint8Array, from: Endpoint, via: Via = 0): Action<PunchEvent>[] {
    if (this.#finished || !isUsable(from, this.#onLoopback)) return []
    if (!this.#pairSelection.mayReceive(from, via)) return []
    const packet = openCheck(this.#crypto, this.#keys, bytes)
    if (!packet || !this.#pairSelection.noteReceived(packet.sequence, via)) return []
    this.#lastReceivedAt = now
    if (!this.#acceptsFrom(now, from, via)) return []
    return packet.type === 'check'
      ? this.#answer(now, packet.sequence, from, via)
      : this.#confirm(packet, from, via)
  }

  probe(to: Endpoint, via: Via, ttl?: number): SendAction | null {
    if (this.#finished || !isUsable(to, this.#onLoopback)) return null
    this.#probes++
    const action = this.#seal(to, via, { type: 'check' })
    this.#pairSelection.noteCheckSent(this.#sequence, to, via)
    return ttl === undefined ? action : { ...action, ttl }
  }

  hasReceivedOn(via: Via): boolean {
    return this.#pairSelection.hasReceivedOn(via)
  }

  dropSocket(via: Via): void {
    for (const [key, target] of this.#targets) if (target.via === via) this.#targets.delete(key)
    this.#pairSelection.dropSocket(via)
  }

  addTargets(now: number, candidates: readonly Candidate[]): Action<PunchEvent>[] {
    if (this.#finished) return []
    this.#add(now, candidates)
    return this.handleTimeout(now)
  }

  stop(): void {
    this.#finished = true
    this.#targets.clear()
    this.#pairSelection.clear()
  }

  #endsAt(): number {
    return this.#best ? this.#lastReceivedAt + this.#quietMs : this.#deadline
  }

  #add(now: number, candidates: readonly Candidate[]): void {
    const added: Target[] = []
    for (const candidate of candidates) {
      if (this.#targets.size >= maxTargets || this.#targets.has(pathKey(candidate.endpoint, 0))) continue
      if (isUsable(candidate.endpoint, this.#onLoopback)) added.push(this.#target(now, candidate, 0))
    }
    for (const target of added) {
      target.quickTotal = quickChecksFor(added.length, this.#checkBudget - this.#checks)
    }
  }

  #target(now: number, candidate: Candidate, via: Via): Target {
    const target: Target = {
      candidate,
      via,
      rank: rankOf(candidate, this.#sameNat),
      isLan: isLan(candidate, this.#sameNat),
      nextAt: this.#wouldImprove(rankOf(candidate, this.#sameNat)) ? now : null,
      lastCheckAt: Number.NEGATIVE_INFINITY,
      quickSent: 0,
      quickTotal: burstChecks,
      isTriggered: false,
      confirmed: false,
    }
    this.#targets.set(pathKey(candidate.endpoint, via), target)
    return target
  }

  /** A path that is not better than the present one needs no checks. */
  #wouldImprove(rank: number): boolean {
    return this.#best === null || rank > this.#best.rank
  }

  #acceptsFrom(now: number, from: Endpoint, via: Via): boolean {
    const rank = rankOf({ kind: 'peer-reflexive', endpoint: from }, this.#sameNat)
    if (this.#best) return this.#best.via === via || rank > this.#best.rank
    return rank > lowestRank || this.#pairSelection.commitsTo(now, from, via)
  }

  /** The peer's check came from `from`: confirms it and sends a triggered check. */
  #answer(now: number, confirms: number, from: Endpoint, via: Via): Action<PunchEvent>[] {
    // Once a path is found, packets reserved for checks may be used for answers.
    const reserved = this.#best ? 0 : Math.max(0, this.#checkBudget - this.#checks)
    if (this.#packets + reserved >= this.#budget) return []
    const confirmation = this.#send(from, via, { type: 'confirm', confirms, observed: from })
    let target = this.#targets.get(pathKey(from, via))
    if (!target) {
      if (this.#targets.size >= maxTargets + maxPeerReflexive) return [confirmation]
      target = this.#target(now, { kind: 'peer-reflexive', endpoint: from }, via)
    }
    if (target.confirmed || !this.#wouldImprove(target.rank)) return [confirmation]
    target.isTriggered = true
    target.quickSent = 0
    target.quickTotal = burstChecks
    target.nextAt = Math.max(now, target.lastCheckAt + minCheckGapMs)
    return target.nextAt > now ? [confirmation] : [confirmation, ...this.#check(now, target)]
  }

  #confirm(packet: CheckPacket & { type: 'confirm' }, from: Endpoint, via: Via): Action<PunchEvent>[] {
    if (!this.#pairSelection.isAnswer(packet.confirms, from, via)) return []
    const known = this.#targets.get(pathKey(from, via))
    const target = known ?? this.#target(0, { kind: 'predicted', endpoint: from }, via)
    if (target.confirmed) return []
    target.confirmed = true
    target.nextAt = null
    if (!this.#wouldImprove(target.rank)) return []
    const type = this.#best ? 'better-path' : 'path'
    this.#best = target
    for (const other of this.#targets.values()) if (!this.#wouldImprove(other.rank)) other.nextAt = null
    const path: Path = {
      kind: target.isLan ? 'lan' : 'direct',
      remote: target.candidate.endpoint,
      local: packet.observed,
      candidateKind: target.candidate.kind,
      via: target.via,
    }
    return [{ type: 'event', event: { type, path, packets: this.packets } }]
  }

  #check(now: number, target: Target): Action<PunchEvent>[] {
    target.nextAt = null
    // Triggered checks may use the whole budget: they complete the connection.
    const limit = target.isTriggered ? this.#budget : this.#checkBudget
    if (this.#checks >= limit || this.#packets >= this.#budget) return []
    this.#checks++
    target.quickSent++
    target.lastCheckAt = now
    const { endpoint } = target.candidate
    const action = this.#send(endpoint, target.via, { type: 'check' })
    this.#pairSelection.noteCheckSent(this.#sequence, endpoint, target.via)
    // Once a path is found, a better target gets only its quick checks.
    if (!this.#best || target.quickSent < target.quickTotal) {
      const waiting = [...this.#targets.values()].filter((other) => other === target || other.nextAt !== null)
      const budget = this.#checkBudget - this.#checks
      target.nextAt = now + gapAfterCheck(target, waiting, this.#deadline - now, budget)
    }
    return [action]
  }

  #send(to: Endpoint, via: Via, packet: UnnumberedPacket): SendAction {
    this.#packets++
    return this.#seal(to, via, packet)
  }

  #seal(to: Endpoint, via: Via, packet: UnnumberedPacket): SendAction {
    this.#sequence = (this.#sequence + 1) >>> 0
    const bytes = sealCheck(this.#crypto, this.#keys, { ...packet, sequence: this.#sequence })
    return via === 0 ? { type: 'send', to, bytes } : { type: 'send', to, bytes, via }
  }
}

type UnnumberedPacket = { type: 'check' } | { type: 'confirm'; confirms: number; observed: Endpoint }
