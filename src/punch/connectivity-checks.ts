// One attempt to reach one peer on all its candidates at once (C3). Checks go to every
// target; whoever gets one confirms it to where it came from and checks back at once (RFC 8445 §7.3.1.4).
// A confirmation of our check, from where that check was sent, proves the path in both directions.
//
//              confirmation                    quiet for quietMs
//   searching ──────────────▶ found (answers) ──────────────────▶ finished
//        │ attemptMs over                                            ▲
//        └───────────────────────────────────────────────────────────┘

import type { Crypto } from '../base/crypto.ts'
import type { Candidate, CandidateKind, Endpoint } from '../base/endpoint.ts'
import type { Action, Machine, SendAction, Via } from '../base/protocol-machine.ts'
import { burstChecks, gapAfterCheck, type Paced, quickChecksFor } from './check-pacing.ts'
import { type CheckKeys, type CheckPacket, openCheck, sealCheck } from './check-packet.ts'
import { isLan, isUsable, lowestRank, maxTargets, rankOf } from './check-targets.ts'
import { type Hearing, PairSelection, placeOf } from './pair-selection.ts'

export type Path = {
  readonly kind: 'lan' | 'direct'
  readonly remote: Endpoint
  /** Our own endpoint as the peer sees it on this path. */
  readonly local: Endpoint
  readonly candidateKind: CandidateKind
  /** The socket it leads from; 0 is the main one. */
  readonly via: Via
}

export type PunchEvent =
  /** The first path proven in both directions. `packets`: sent by us so far, confirmations included. */
  | { readonly type: 'path'; readonly path: Path; readonly packets: number }
  /** A path of higher rank (lan, then IPv6, then the rest) was proven later. */
  | { readonly type: 'better-path'; readonly path: Path; readonly packets: number }
  /** No path within `attemptMs`; the machine is finished. */
  | { readonly type: 'failed'; readonly reason: 'no-answer'; readonly packets: number }
  /** After a path: the peer has been quiet, so nobody needs our answers; the machine is finished. */
  | { readonly type: 'done'; readonly packets: number }

export type PunchOptions = {
  readonly crypto: Pick<Crypto, 'randomBytes' | 'encrypt' | 'decrypt'>
  readonly keys: CheckKeys
  /** From a plan with strategy `direct`; may be empty when the peer must come to us. */
  readonly targets: readonly Candidate[]
  /** Never exceeded, whatever arrives. */
  readonly budget: number
  readonly sameNat: boolean
  readonly now: number
  /** Counted from `now`; 120 s by default. */
  readonly attemptMs?: number
  /** How long after a path the peer may still need our answers. */
  readonly quietMs?: number
  readonly extraSocketsHear?: Hearing
  /** Loopback targets are used only when our own socket is on loopback (demo and tests). */
  readonly onLoopback?: boolean
}

export interface Punch extends Machine<PunchEvent> {
  /** Candidates learned later. Known ones, and those beyond the bound, are ignored. */
  addTargets(now: number, candidates: readonly Candidate[]): Action<PunchEvent>[]
  /**
   * One check outside the budget, which the caller has to bound; a path when it is confirmed. Null when it may not
   * be sent there, or all is over.
   */
  probe(to: Endpoint, via: Via, ttl?: number): SendAction | null
  /** Whether the peer was heard by this socket. */
  heardBy(via: Via): boolean
  /** The socket is gone. */
  forget(via: Via): void
  /** Nothing is sent or answered afterwards. */
  stop(): void
  /** Sent so far. */
  readonly packets: number
}

/** Places not named beforehand from which the peer may be heard. */
const maxPeerReflexive = 4
/** Between two checks to one target, however often the peer is heard there. */
const shortestCheckGapMs = 50

export function createPunch(options: PunchOptions): Punch {
  return new ConnectivityChecks(options)
}

type Target = Paced & {
  readonly candidate: Candidate
  readonly via: Via
  readonly rank: number
  /** Null when no further check is due. */
  nextAt: number | null
  lastCheckAt: number
  wasHeard: boolean
  confirmed: boolean
}

class ConnectivityChecks implements Punch {
  readonly #crypto: PunchOptions['crypto']
  readonly #keys: CheckKeys
  readonly #sameNat: boolean
  readonly #onLoopback: boolean
  readonly #budget: number
  /** The rest is kept for answers and for checking back, which are what connects in the end. */
  readonly #checkBudget: number
  readonly #quietMs: number
  readonly #deadline: number
  /** By socket and endpoint; at most maxTargets + maxPeerReflexive, and those of confirmed probes. */
  readonly #targets = new Map<string, Target>()
  readonly #pairSelection: PairSelection
  #sequence: number
  /** Within the budget. */
  #packets = 0
  /** Outside it. */
  #probes = 0
  #checks = 0
  #best: Target | null = null
  #lastHeardAt = 0
  #finished = false

  constructor(options: PunchOptions) {
    this.#crypto = options.crypto
    this.#keys = options.keys
    this.#sameNat = options.sameNat
    this.#onLoopback = options.onLoopback ?? false
    this.#pairSelection = new PairSelection(options.extraSocketsHear ?? 'endpoint')
    this.#budget = options.budget
    this.#checkBudget = Math.ceil((options.budget * 2) / 3)
    this.#quietMs = options.quietMs ?? 20_000
    this.#deadline = options.now + (options.attemptMs ?? 120_000)
    // From a random start, so that a confirmation recorded in an earlier attempt fits no check of this one.
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
    if (!this.#pairSelection.mayHear(from, via)) return []
    const packet = openCheck(this.#crypto, this.#keys, bytes)
    if (!packet || !this.#pairSelection.noteHeard(packet.sequence, via)) return []
    this.#lastHeardAt = now
    if (!this.#listensTo(now, from, via)) return []
    return packet.type === 'check'
      ? this.#answer(now, packet.sequence, from, via)
      : this.#confirm(packet, from, via)
  }

  probe(to: Endpoint, via: Via, ttl?: number): SendAction | null {
    if (this.#finished || !isUsable(to, this.#onLoopback)) return null
    this.#probes++
    const action = this.#seal(to, via, { type: 'check' })
    this.#pairSelection.noteAsked(this.#sequence, to, via)
    return ttl === undefined ? action : { ...action, ttl }
  }

  heardBy(via: Via): boolean {
    return this.#pairSelection.heardBy(via)
  }

  forget(via: Via): void {
    for (const [key, target] of this.#targets) if (target.via === via) this.#targets.delete(key)
    this.#pairSelection.forget(via)
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
    return this.#best ? this.#lastHeardAt + this.#quietMs : this.#deadline
  }

  #add(now: number, candidates: readonly Candidate[]): void {
    const fresh: Target[] = []
    for (const candidate of candidates) {
      if (this.#targets.size >= maxTargets || this.#targets.has(placeOf(candidate.endpoint, 0))) continue
      if (isUsable(candidate.endpoint, this.#onLoopback)) fresh.push(this.#target(now, candidate, 0))
    }
    for (const target of fresh) {
      target.quickTotal = quickChecksFor(fresh.length, this.#checkBudget - this.#checks)
    }
  }

  #target(now: number, candidate: Candidate, via: Via): Target {
    const target: Target = {
      candidate,
      via,
      rank: rankOf(candidate, this.#sameNat),
      isLan: isLan(candidate, this.#sameNat),
      nextAt: this.#isWorth(rankOf(candidate, this.#sameNat)) ? now : null,
      lastCheckAt: Number.NEGATIVE_INFINITY,
      quickSent: 0,
      quickTotal: burstChecks,
      wasHeard: false,
      confirmed: false,
    }
    this.#targets.set(placeOf(candidate.endpoint, via), target)
    return target
  }

  /** A path no better than the one we have needs no checks of ours. */
  #isWorth(rank: number): boolean {
    return this.#best === null || rank > this.#best.rank
  }

  #listensTo(now: number, from: Endpoint, via: Via): boolean {
    const rank = rankOf({ kind: 'peer-reflexive', endpoint: from }, this.#sameNat)
    if (this.#best) return this.#best.via === via || rank > this.#best.rank
    return rank > lowestRank || this.#pairSelection.commits(now, from, via)
  }

  /** The peer's check came from `from`: confirm it, and check that way at once. */
  #answer(now: number, confirms: number, from: Endpoint, via: Via): Action<PunchEvent>[] {
    // What is set aside for checks may go to answers once we are done searching.
    const reserved = this.#best ? 0 : Math.max(0, this.#checkBudget - this.#checks)
    if (this.#packets + reserved >= this.#budget) return []
    const confirmation = this.#send(from, via, { type: 'confirm', confirms, observed: from })
    let target = this.#targets.get(placeOf(from, via))
    if (!target) {
      if (this.#targets.size >= maxTargets + maxPeerReflexive) return [confirmation]
      target = this.#target(now, { kind: 'peer-reflexive', endpoint: from }, via)
    }
    if (target.confirmed || !this.#isWorth(target.rank)) return [confirmation]
    target.wasHeard = true
    target.quickSent = 0
    target.quickTotal = burstChecks
    target.nextAt = Math.max(now, target.lastCheckAt + shortestCheckGapMs)
    return target.nextAt > now ? [confirmation] : [confirmation, ...this.#check(now, target)]
  }

  #confirm(packet: CheckPacket & { type: 'confirm' }, from: Endpoint, via: Via): Action<PunchEvent>[] {
    if (!this.#pairSelection.isAnswer(packet.confirms, from, via)) return []
    const known = this.#targets.get(placeOf(from, via))
    const target = known ?? this.#target(0, { kind: 'predicted', endpoint: from }, via)
    if (target.confirmed) return []
    target.confirmed = true
    target.nextAt = null
    if (!this.#isWorth(target.rank)) return []
    const type = this.#best ? 'better-path' : 'path'
    this.#best = target
    for (const other of this.#targets.values()) if (!this.#isWorth(other.rank)) other.nextAt = null
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
    // To check back where the peer was heard is what connects in the end.
    const most = target.wasHeard ? this.#budget : this.#checkBudget
    if (this.#checks >= most || this.#packets >= this.#budget) return []
    this.#checks++
    target.quickSent++
    target.lastCheckAt = now
    const { endpoint } = target.candidate
    const action = this.#send(endpoint, target.via, { type: 'check' })
    this.#pairSelection.noteAsked(this.#sequence, endpoint, target.via)
    // With a path found, a better one gets its quick checks and no more.
    if (!this.#best || target.quickSent < target.quickTotal) {
      const waiting = [...this.#targets.values()].filter((one) => one === target || one.nextAt !== null)
      const budget = this.#checkBudget - this.#checks
      target.nextAt = now + gapAfterCheck(target, waiting, this.#deadline - now, budget)
    }
    return [action]
  }

  #send(to: Endpoint, via: Via, packet: Unnumbered): SendAction {
    this.#packets++
    return this.#seal(to, via, packet)
  }

  #seal(to: Endpoint, via: Via, packet: Unnumbered): SendAction {
    this.#sequence = (this.#sequence + 1) >>> 0
    const bytes = sealCheck(this.#crypto, this.#keys, { ...packet, sequence: this.#sequence })
    return via === 0 ? { type: 'send', to, bytes } : { type: 'send', to, bytes, via }
  }
}

type Unnumbered = { type: 'check' } | { type: 'confirm'; confirms: number; observed: Endpoint }
