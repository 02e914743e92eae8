// Where the two ends of a link are, as its own frames announce and prove it: challenges of paths, and lists of candidates.

import type { Candidate, Endpoint } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'
import { CandidateAnnouncements } from './candidate-exchange.ts'
import { type CandidatePath, CandidatePaths, type CandidatePathsOptions } from './candidate-paths.ts'
import { frameKinds } from './packet-codec.ts'
import type { Frame } from './packet-crypto.ts'
import { challengeBytes } from './path-challenges.ts'

/** `to`: null for the present path. */
type AimedFrame = Frame & { readonly to: Endpoint | null; readonly via: Via }

export type Outcome = {
  /** To be sent. */
  readonly frames: readonly AimedFrame[]
  /** The present path is another one now, as of before the frames. */
  readonly hasMoved: boolean
  /** The peer may be reached there from now on. */
  readonly candidates: readonly Candidate[] | null
}

const nothing: Outcome = { frames: [], hasMoved: false, candidates: null }

export class PathManager {
  readonly #paths: CandidatePaths
  readonly #announcements = new CandidateAnnouncements()

  constructor(options: CandidatePathsOptions) {
    this.#paths = new CandidatePaths(options)
  }

  get remote(): Endpoint {
    return this.#paths.remote
  }

  get via(): Via {
    return this.#paths.via
  }

  dueAt(): number {
    return Math.min(this.#paths.dueAt(), this.#announcements.dueAt())
  }

  /** What is due now. */
  advance(now: number): Outcome {
    if (now < this.dueAt()) return nothing
    const { hasMoved, challenges } = this.#paths.advance(now)
    const frames = challenges.map(
      ({ to, via, body }): AimedFrame => ({ kind: frameKinds.challenge, body, to, via }),
    )
    const list = this.#announcements.next(now)
    if (list) frames.push({ kind: frameKinds.candidates, body: list, to: null, via: 0 })
    return { frames, hasMoved, candidates: null }
  }

  /** Frames of other kinds, and malformed ones, mean nothing here. */
  handleFrame(now: number, { kind, body }: Frame, from: Endpoint, via: Via): Outcome {
    switch (kind) {
      case frameKinds.challenge:
        if (body.length !== challengeBytes) return nothing
        this.#paths.challenged(now, body)
        // Back on the same path: only so does it say anything about it.
        return answer({ kind: frameKinds.challengeAnswer, body, to: from, via })
      case frameKinds.challengeAnswer:
        if (body.length !== challengeBytes) return nothing
        return { ...nothing, hasMoved: this.#paths.answered(now, body, from, via) }
      case frameKinds.candidates: {
        const taken = this.#announcements.take(body)
        if (!taken) return nothing
        const frame = { kind: frameKinds.candidatesTaken, body: taken.answer, to: null, via: 0 }
        return { ...answer(frame), candidates: taken.candidates }
      }
      case frameKinds.candidatesTaken:
        this.#announcements.acknowledged(body)
        return nothing
      default:
        return nothing
    }
  }

  /** The newest packet of the peer came from there. */
  heardFrom(now: number, from: Endpoint, via: Via): void {
    this.#paths.heardFrom(now, from, via)
  }

  noteRoundTrip(ms: number): void {
    this.#paths.noteRoundTrip(ms)
  }

  /** Somebody else has proven this path. False when it is the present one. */
  move(remote: Endpoint, via: Via, rank: number): boolean {
    return this.#paths.move(remote, via, rank)
  }

  setCandidatePaths(now: number, paths: readonly CandidatePath[]): void {
    this.#paths.setCandidatePaths(now, paths)
  }

  /** Announces where we may be reached, and looks whether a better path has come up. */
  announce(now: number, candidates: readonly Candidate[]): void {
    this.#announcements.announce(now, candidates)
    this.#paths.look(now)
  }

  sweep(now: number): void {
    this.#paths.sweep(now)
  }

  disturb(now: number): void {
    this.#paths.disturb(now)
  }

  settle(): void {
    this.#paths.settle()
  }
}

function answer(frame: AimedFrame): Outcome {
  return { frames: [frame], hasMoved: false, candidates: null }
}
