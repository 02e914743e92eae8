// Which path a link takes, and where else the peer may be. A path is proven by a challenge: a random number sent there and
// answered from there (RFC 9000 §8.2); nothing else moves a link.
//
//   - Known paths lead to candidates that the peer announced. While the link is disturbed all of them are challenged, by both sides,
//     which opens the NATs between as punching does; the first that answers is taken. At other times a path of higher rank
//     is taken when it answers.
//   - Elsewhere is any other place that the newest authentic packet came from: the peer's NAT may have given it another
//     port, or somebody sent a copy on (RFC 9000 §9.3). It is challenged, and so is the present path. The link moves only
//     when the former answers and the latter does not: whoever merely copies packets, even in time, diverts nothing.

import type { Endpoint } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'
import { type Challenge, keyOf, PathChallenges, type Place, shorten, unheardFlag } from './path-challenges.ts'

export type CandidatePath = {
  readonly endpoint: Endpoint
  /** Higher is better. */
  readonly rank: number
}

/** Known paths, further ones are ignored; and those that were in use before. */
const maxKnown = 16
const maxFormer = 4
/** From one challenge to the next of a burst. */
const burstGapsMs = [200, 200, 400, 800] as const
/** After the burst, while the link is disturbed. */
const slowGapMs = 2_000
/** Whoever is asked to search by the other does so at most so often. */
const searchGapMs = 2_000
/** So long a place that did not answer, or was not needed, is not tried again. */
const restMs = 5_000
const trialMs = 2_000
/** The present path's answer may come so much later than that from elsewhere, or half a round trip. */
const graceMs = 100
type Known = Place & {
  rank: number
  /** Announced by the peer, and not only in use before. */
  readonly isAnnounced: boolean
  sent: number
  nextAt: number
}
type Trial = {
  readonly place: Place
  sent: number
  nextAt: number
  readonly until: number
  isPresentAlive: boolean
  /** When it is decided; Infinity while the place has not answered. */
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
  #present: Place
  #presentRank: number
  /** By place. */
  readonly #known = new Map<string, Known>()
  #trial: Trial | null = null
  /** Until when a place from which packets come is left alone; at most `maxKnown`. */
  readonly #resting = new Map<string, number>()
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

  /** When `advance` is wanted; Infinity when never. */
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

  /** Somebody else has proven this path. False when it is the present one. */
  move(endpoint: Endpoint, via: Via, rank: number): boolean {
    this.#presentRank = rank
    if (this.isPresent(endpoint, via)) return false
    this.#moveTo({ endpoint, via })
    return true
  }

  /** Where the peer may be as of now; those of higher rank than the present path are looked at. */
  setCandidatePaths(now: number, paths: readonly CandidatePath[]): void {
    for (const [key, { isAnnounced }] of this.#known) if (isAnnounced) this.#known.delete(key)
    for (const { endpoint, rank } of paths.slice(0, maxKnown)) {
      if (this.isPresent(endpoint, 0)) this.#presentRank = rank
      const place = { endpoint, via: 0 }
      this.#known.set(keyOf(place), { ...place, rank, isAnnounced: true, sent: 0, nextAt: Infinity })
    }
    if (this.#isDisturbed) this.#search(now)
    else this.look(now)
  }

  /** Challenges the paths that would be better than the present one. */
  look(now: number): void {
    for (const path of this.#known.values()) if (path.rank > this.#presentRank) begin(now, path)
    this.#schedule()
  }

  /** Nothing is heard any more, or soon may not: challenges every path, again and again until `settle`. */
  disturb(now: number): void {
    this.#isDisturbed = true
    this.#search(now)
  }

  settle(): void {
    this.#isDisturbed = false
  }

  /** Challenges every path a few times. */
  sweep(now: number): void {
    this.#search(now)
  }

  /** The peer has challenged us; the answer is for the caller. */
  challenged(now: number, body: Uint8Array): void {
    if (((body[0] as number) & unheardFlag) === 0 || now < this.#searchedAt + searchGapMs) return
    this.#resting.clear()
    this.#search(now)
  }

  /** The newest packet of the peer came from there. */
  heardFrom(now: number, endpoint: Endpoint, via: Via): void {
    if (this.isPresent(endpoint, via)) {
      if (this.#trial) this.#trial.isPresentAlive = true
      return
    }
    const place = { endpoint, via }
    if (this.#trial || now < (this.#resting.get(keyOf(place)) ?? -Infinity)) return
    this.#trial = {
      place,
      sent: 0,
      nextAt: now,
      until: now + trialMs,
      isPresentAlive: false,
      decideAt: Infinity,
    }
    this.#schedule()
  }

  /** A challenge was answered from there. True when the link moves with it. */
  answered(now: number, body: Uint8Array, endpoint: Endpoint, via: Via): boolean {
    const asked = this.#challenges.answered(now, body)
    if (asked === null) return false
    // Whatever path the answer took: what we send on the present path arrives.
    if (asked === keyOf(this.#present)) {
      if (this.#trial) this.#trial.isPresentAlive = true
      return false
    }
    const place = { endpoint, via }
    if (asked !== keyOf(place)) return false
    const path = this.#known.get(asked)
    if (path) path.nextAt = Infinity
    const rank = path?.rank ?? 0
    if (this.#isDisturbed || (path && rank > this.#presentRank)) {
      this.#presentRank = rank
      this.#moveTo(place)
      return true
    }
    if (this.#trial && keyOf(this.#trial.place) === asked) {
      this.#trial.decideAt = Math.min(this.#trial.decideAt, now + Math.max(graceMs, this.#roundTripMs / 2))
    }
    this.#schedule()
    return false
  }

  /** What is to be sent now, and whether the link has moved. */
  advance(now: number): { readonly hasMoved: boolean; readonly challenges: readonly Challenge[] } {
    if (now < this.#dueAt) return nothingToDo
    const hasMoved = this.#decide(now)
    const challenges = [...this.#challengeTrial(now), ...this.#challengeKnown(now)]
    this.#schedule()
    return { hasMoved, challenges }
  }

  #search(now: number): void {
    this.#searchedAt = now
    for (const path of this.#known.values()) begin(now, path)
    this.#schedule()
  }

  #decide(now: number): boolean {
    const trial = this.#trial
    if (!trial || (now < trial.decideAt && now < trial.until)) return false
    this.#trial = null
    if (now >= trial.decideAt && !trial.isPresentAlive) {
      this.#presentRank = this.#known.get(keyOf(trial.place))?.rank ?? 0
      this.#moveTo(trial.place)
      return true
    }
    this.#resting.set(keyOf(trial.place), now + restMs)
    shorten(this.#resting, maxKnown)
    return false
  }

  #challengeTrial(now: number): Challenge[] {
    const trial = this.#trial
    if (!trial || now < trial.nextAt) return []
    trial.nextAt = now + (burstGapsMs[trial.sent++] ?? Infinity)
    return this.#challenges.make(now, [trial.place, this.#present], this.#flags)
  }

  #challengeKnown(now: number): Challenge[] {
    const due = [...this.#known.values()]
      .filter(({ nextAt }) => nextAt <= now)
      .sort((a, b) => b.rank - a.rank)
    return due.flatMap((path) => {
      path.nextAt = now + (burstGapsMs[path.sent++] ?? (this.#isDisturbed ? slowGapMs : Infinity))
      // Pings go there anyway.
      const isPresent = this.isPresent(path.endpoint, path.via)
      return isPresent ? [] : this.#challenges.make(now, [path], this.#flags)
    })
  }

  get #flags(): number {
    return this.#isDisturbed ? unheardFlag : 0
  }

  /** The path that is left stays known: the peer may come back to it. */
  #moveTo(place: Place): void {
    const key = keyOf(this.#present)
    if (!this.#known.get(key)?.isAnnounced) {
      this.#known.delete(key)
      this.#known.set(key, { ...this.#present, rank: 0, isAnnounced: false, sent: 0, nextAt: Infinity })
      const former = [...this.#known].filter(([, { isAnnounced }]) => !isAnnounced)
      for (const [oldest] of former.slice(0, Math.max(0, former.length - maxFormer)))
        this.#known.delete(oldest)
    }
    this.#present = place
    this.#trial = null
    this.#resting.clear()
    for (const path of this.#known.values()) if (path.rank <= this.#presentRank) path.nextAt = Infinity
    this.#schedule()
  }

  #schedule(): void {
    let due = Infinity
    for (const { nextAt } of this.#known.values()) if (nextAt < due) due = nextAt
    if (this.#trial) due = Math.min(due, this.#trial.nextAt, this.#trial.until, this.#trial.decideAt)
    this.#dueAt = due
  }
}

const nothingToDo = { hasMoved: false, challenges: [] } as const

function begin(now: number, path: Known): void {
  path.sent = 0
  path.nextAt = now
}
