// The link's frames about paths: challenges of paths, and lists of candidates.

import type { Candidate, Endpoint } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'
import { CandidateAnnouncements } from './candidate-exchange.ts'
import { type CandidatePath, CandidatePaths, type CandidatePathsOptions } from './candidate-paths.ts'
import { frameKinds } from './packet-codec.ts'
import type { Frame } from './packet-crypto.ts'
import { challengeBytes } from './path-challenges.ts'

/** `to`: null means the present path. */
type AddressedFrame = Frame & { readonly to: Endpoint | null; readonly via: Via }

export type PathOutcome = {
  /** Frames to send. */
  readonly frames: readonly AddressedFrame[]
  /** The link has moved to another path. The frames go out after the move. */
  readonly hasMoved: boolean
  /** The peer's new candidates; null when there are none. */
  readonly candidates: readonly Candidate[] | null
}

const nothing: PathOutcome = { frames: [], hasMoved: false, candidates: null }

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

  /** The challenges and announcements due now. */
  advance(now: number): PathOutcome {
    if (now < this.dueAt()) return nothing
    const { hasMoved, challenges } = this.#paths.advance(now)
    const frames = challenges.map(
      ({ to, via, body }): AddressedFrame => ({ kind: frameKinds.challenge, body, to, via }),
    )
    const body = this.#announcements.nextBody(now)
    if (body) frames.push({ kind: frameKinds.candidates, body, to: null, via: 0 })
    return { frames, hasMoved, candidates: null }
  }

  /** Ignores frames of other kinds and malformed ones. */
  handleFrame(now: number, { kind, body }: Frame, from: Endpoint, via: Via): PathOutcome {
    switch (kind) {
      case frameKinds.challenge:
        if (body.length !== challengeBytes) return nothing
        this.#paths.handleChallenge(now, body)
        // The answer goes back on the same path: only then does it prove that path.
        return answer({ kind: frameKinds.challengeAnswer, body, to: from, via })
      case frameKinds.challengeAnswer:
        if (body.length !== challengeBytes) return nothing
        return { ...nothing, hasMoved: this.#paths.handleAnswer(now, body, from, via) }
      case frameKinds.candidates: {
        const list = this.#announcements.handleList(body)
        if (!list) return nothing
        const { acknowledgement } = list
        const kind = frameKinds.candidatesAcknowledgement
        const frame = { kind, body: acknowledgement, to: null, via: 0 }
        return { ...answer(frame), candidates: list.candidates }
      }
      case frameKinds.candidatesAcknowledgement:
        this.#announcements.handleAcknowledgement(body)
        return nothing
      default:
        return nothing
    }
  }

  /** The peer's newest packet arrived on this path. */
  noteReceivedOn(now: number, from: Endpoint, via: Via): void {
    this.#paths.noteReceivedOn(now, from, via)
  }

  noteRoundTrip(ms: number): void {
    this.#paths.noteRoundTrip(ms)
  }

  /** Uses a path that the caller has proven. False when it is the present one. */
  move(remote: Endpoint, via: Via, rank: number): boolean {
    return this.#paths.move(remote, via, rank)
  }

  setCandidatePaths(now: number, paths: readonly CandidatePath[]): void {
    this.#paths.setCandidatePaths(now, paths)
  }

  /** Announces our candidates, and challenges better paths. */
  announce(now: number, candidates: readonly Candidate[]): void {
    this.#announcements.announce(now, candidates)
    this.#paths.challengeBetter(now)
  }

  challengeAll(now: number): void {
    this.#paths.challengeAll(now)
  }

  disturb(now: number): void {
    this.#paths.disturb(now)
  }

  endDisturbance(): void {
    this.#paths.endDisturbance()
  }
}

function answer(frame: AddressedFrame): PathOutcome {
  return { frames: [frame], hasMoved: false, candidates: null }
}
