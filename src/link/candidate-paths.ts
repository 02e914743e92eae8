// Chooses the path of a link. A path is proven by a challenge: a random number sent on it and answered on it
// (RFC 9000 §8.2). Only a proven path is used.
//
//   - A known path leads to a candidate that the peer announced. While the link is disturbed, both sides challenge all
//     known paths, which also opens the NATs between them. The link takes the first path that answers. At other times
//     it takes a path of higher rank when that one answers.
//   - An unknown path is any other path on which the newest authentic packet arrived. The peer's NAT may have changed
//     its port, or an attacker may have forwarded a copy (RFC 9000 §9.3). So the unknown path and the present path are
//     both challenged. The link moves only if the unknown path answers and the present one does not. An attacker who
//     only copies packets, however fast, cannot divert the link.

import type { Endpoint } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'
import {
  type Challenge,
  dropOldest,
  type Path,
  PathChallenges,
  pathKey,
  unheardFlag,
} from './path-challenges.ts'

export type CandidatePath = {
  readonly endpoint: Endpoint
  /** Higher is better. */
  readonly rank: number
}

/** Announced paths that are kept, and former paths that stay known. Further announced ones are ignored. */
const maxKnown = 16
const maxFormer = 4
/** Between the challenges of one burst. */
const burstGapsMs = [200, 200, 400, 800] as const
/** Between challenges after the burst, while the link is disturbed. */
const slowGapMs = 2_000
/** A peer's challenge can start a search of ours at most this often. */
const searchGapMs = 2_000
/** After a trial that did not move the link, its path is not tried again for so long. */
const restMs = 5_000
const trialMs = 2_000
/** The present path may answer so much later than the tried one; half a round trip if that is longer. */
const graceMs = 100
type KnownPath = Path & {
  rank: number
  /** Announced by the peer; false for a former path. */
  readonly isAnnounced: boolean
  sent: number
  nextAt: number
}
type Trial = {
  readonly path: Path
  sent: number
  nextAt: number
  readonly until: number
  isPresentAlive: boolean
  /** When the trial ends; Infinity while the tried path has not answered. */
  decideAt: number
}

export type CandidatePathsOptions = {
  readonly remote: Endpoint
  readonly via: Via
  readonly rank: number
  readonly now: number
  readonly randomBytes: (length: number) => Uint8Array
}

export class CandidatePaths {
  readonly #challenges: PathChallenges
  #present: Path
  #presentRank: number
  /** Keyed by `pathKey`. */
  readonly #known = new Map<string, KnownPath>()
  #trial: Trial | null = null
  /** By `pathKey`: until when this path is not tried. At most `maxKnown`. */
  readonly #restingUntil = new Map<string, number>()
  #isDisturbed = false
  #searchedAt = -Infinity
  #roundTripMs = 0
  #dueAt = Infinity

  constructor({ remote, via, rank, now, randomBytes }: CandidatePathsOptions) {
    this.#challenges = new PathChallenges(now, randomBytes)
    this.#present = { endpoint: remote, via }
    this.#presentRank = rank
  }

  get remote(): Endpoint {
    return this.#present.endpoint
  }

  get via(): Via {
    return this.#present.via
  }

  /** When to call `advance`; Infinity for never. */
  dueAt(): number {
    return this.#dueAt
  }

  noteRoundTrip(ms: number): void {
    this.#roundTripMs = ms
  }

  isPresent(endpoint: Endpoint, via: Via): boolean {
    const { endpoint: present, via: presentVia } = this.#present
    return via === presentVia && endpoint.port === present.port && endpoint.address === present.address
  }

  /** Uses a path that the caller has proven. False when it is the present one. */
  move(endpoint: Endpoint, via: Via, rank: number): boolean {
    this.#presentRank = rank
    if (this.isPresent(endpoint, via)) return false
    this.#moveTo({ endpoint, via })
    return true
  }

  /**
   * Replaces the announced paths. Challenges those of higher rank than the present path; all of them while
   * disturbed.
   */
  setCandidatePaths(now: number, paths: readonly CandidatePath[]): void {
    for (const [key, { isAnnounced }] of this.#known) if (isAnnounced) this.#known.delete(key)
    for (const { endpoint, rank } of paths.slice(0, maxKnown)) {
      if (this.isPresent(endpoint, 0)) this.#presentRank = rank
      const path = { endpoint, via: 0 }
      this.#known.set(pathKey(path), { ...path, rank, isAnnounced: true, sent: 0, nextAt: Infinity })
    }
    if (this.#isDisturbed) this.challengeAll(now)
    else this.challengeBetter(now)
  }

  /** Challenges the paths of higher rank than the present one. */
  challengeBetter(now: number): void {
    for (const path of this.#known.values()) if (path.rank > this.#presentRank) beginBurst(now, path)
    this.#schedule()
  }

  /** The peer is silent, or soon may be: challenges every path repeatedly until `endDisturbance`. */
  disturb(now: number): void {
    this.#isDisturbed = true
    this.challengeAll(now)
  }

  endDisturbance(): void {
    this.#isDisturbed = false
  }

  /** Sends a burst of challenges on every path. */
  challengeAll(now: number): void {
    this.#searchedAt = now
    for (const path of this.#known.values()) beginBurst(now, path)
    this.#schedule()
  }

  /** The peer has challenged us. The caller sends the answer. */
  handleChallenge(now: number, body: Uint8Array): void {
    if (((body[0] as number) & unheardFlag) === 0 || now < this.#searchedAt + searchGapMs) return
    this.#restingUntil.clear()
    this.challengeAll(now)
  }

  /** The peer's newest packet arrived on this path. */
  noteReceivedOn(now: number, endpoint: Endpoint, via: Via): void {
    if (this.isPresent(endpoint, via)) {
      if (this.#trial) this.#trial.isPresentAlive = true
      return
    }
    const path = { endpoint, via }
    if (this.#trial || now < (this.#restingUntil.get(pathKey(path)) ?? -Infinity)) return
    this.#trial = {
      path,
      sent: 0,
      nextAt: now,
      until: now + trialMs,
      isPresentAlive: false,
      decideAt: Infinity,
    }
    this.#schedule()
  }

  /** An answer to a challenge arrived on this path. True when the link moves to it. */
  handleAnswer(now: number, body: Uint8Array, endpoint: Endpoint, via: Via): boolean {
    const challengedKey = this.#challenges.takeAnswered(now, body)
    if (challengedKey === null) return false
    // The present path works in our direction, whichever path the answer took.
    if (challengedKey === pathKey(this.#present)) {
      if (this.#trial) this.#trial.isPresentAlive = true
      return false
    }
    const path = { endpoint, via }
    if (challengedKey !== pathKey(path)) return false
    const known = this.#known.get(challengedKey)
    if (known) known.nextAt = Infinity
    const rank = known?.rank ?? 0
    if (this.#isDisturbed || (known && rank > this.#presentRank)) {
      this.#presentRank = rank
      this.#moveTo(path)
      return true
    }
    if (this.#trial && pathKey(this.#trial.path) === challengedKey) {
      this.#trial.decideAt = Math.min(this.#trial.decideAt, now + Math.max(graceMs, this.#roundTripMs / 2))
    }
    this.#schedule()
    return false
  }

  /** The challenges to send now, and whether the link has moved. */
  advance(now: number): { readonly hasMoved: boolean; readonly challenges: readonly Challenge[] } {
    if (now < this.#dueAt) return nothingDue
    const hasMoved = this.#decideTrial(now)
    const challenges = [...this.#challengeTrial(now), ...this.#challengeKnown(now)]
    this.#schedule()
    return { hasMoved, challenges }
  }

  #decideTrial(now: number): boolean {
    const trial = this.#trial
    if (!trial || (now < trial.decideAt && now < trial.until)) return false
    this.#trial = null
    if (now >= trial.decideAt && !trial.isPresentAlive) {
      this.#presentRank = this.#known.get(pathKey(trial.path))?.rank ?? 0
      this.#moveTo(trial.path)
      return true
    }
    this.#restingUntil.set(pathKey(trial.path), now + restMs)
    dropOldest(this.#restingUntil, maxKnown)
    return false
  }

  #challengeTrial(now: number): Challenge[] {
    const trial = this.#trial
    if (!trial || now < trial.nextAt) return []
    trial.nextAt = now + (burstGapsMs[trial.sent++] ?? Infinity)
    return this.#challenges.make(now, [trial.path, this.#present], this.#flags)
  }

  #challengeKnown(now: number): Challenge[] {
    const due = [...this.#known.values()]
      .filter(({ nextAt }) => nextAt <= now)
      .sort((a, b) => b.rank - a.rank)
    return due.flatMap((path) => {
      path.nextAt = now + (burstGapsMs[path.sent++] ?? (this.#isDisturbed ? slowGapMs : Infinity))
      // Pings use the present path anyway.
      const isPresent = this.isPresent(path.endpoint, path.via)
      return isPresent ? [] : this.#challenges.make(now, [path], this.#flags)
    })
  }

  get #flags(): number {
    return this.#isDisturbed ? unheardFlag : 0
  }

  /** The path we leave stays known: the peer may come back to it. */
  #moveTo(path: Path): void {
    const key = pathKey(this.#present)
    if (!this.#known.get(key)?.isAnnounced) {
      this.#known.delete(key)
      this.#known.set(key, { ...this.#present, rank: 0, isAnnounced: false, sent: 0, nextAt: Infinity })
      const former = [...this.#known].filter(([, { isAnnounced }]) => !isAnnounced)
      for (const [oldest] of former.slice(0, Math.max(0, former.length - maxFormer)))
        this.#known.delete(oldest)
    }
    this.#present = path
    this.#trial = null
    this.#restingUntil.clear()
    for (const known of this.#known.values()) if (known.rank <= this.#presentRank) known.nextAt = Infinity
    this.#schedule()
  }

  #schedule(): void {
    let due = Infinity
    for (const { nextAt } of this.#known.values()) if (nextAt < due) due = nextAt
    if (this.#trial) due = Math.min(due, this.#trial.nextAt, this.#trial.until, this.#trial.decideAt)
    this.#dueAt = due
  }
}

const nothingDue = { hasMoved: false, challenges: [] } as const

function beginBurst(now: number, path: KnownPath): void {
  path.sent = 0
  path.nextAt = now
}
