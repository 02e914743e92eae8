// Where an agent may be reached now, announced over the link itself:
//
//      0              4
//      +--------------+------------------------------------------------------------+
//      |  number (4)  |  at most 16 times: kind (1), length (1), endpoint (6 or 18) |
//      +--------------+------------------------------------------------------------+
//      kind 1 host  2 server-reflexive  3 peer-reflexive  4 port-mapped  5 predicted
//
// `number` rises from 1 with every list; it is repeated until it is acknowledged, and a list that is not newer than the
// last has no effect.

import { concatBytes, viewOf } from '../base/bytes.ts'
import { type Candidate, type CandidateKind, decodeEndpoint, encodeEndpoint } from '../base/endpoint.ts'

export const maxCandidates = 16
/** A list is sent so often at most; what is not acknowledged by then waits for the next. */
const maxSends = 12
const firstGapMs = 300
const mostGapMs = 8_000
const kinds: readonly CandidateKind[] = [
  'host',
  'server-reflexive',
  'peer-reflexive',
  'port-mapped',
  'predicted',
]

type CandidateList = { readonly number: number; readonly candidates: readonly Candidate[] }

/** Those beyond the first `maxCandidates` are left out. */
export function encodeCandidates({ number, candidates }: CandidateList): Uint8Array {
  const head = new Uint8Array(4)
  viewOf(head).setUint32(0, number)
  const entries = candidates.slice(0, maxCandidates).map(({ kind, endpoint }) => {
    const bytes = encodeEndpoint(endpoint)
    return concatBytes(Uint8Array.of(kinds.indexOf(kind) + 1, bytes.length), bytes)
  })
  return concatBytes(head, ...entries)
}

/** Null for anything malformed. */
export function decodeCandidates(body: Uint8Array): CandidateList | null {
  if (body.length < 4) return null
  const number = viewOf(body).getUint32(0)
  const candidates: Candidate[] = []
  for (let at = 4; at < body.length; ) {
    const kind = kinds[(body[at] as number) - 1]
    const length = body[at + 1] ?? 0
    const endpoint = decodeEndpoint(body.subarray(at + 2, at + 2 + length))
    if (!kind || !endpoint || candidates.length === maxCandidates) return null
    candidates.push({ kind, endpoint })
    at += 2 + length
  }
  return number === 0 ? null : { number, candidates }
}

/** Announces the newest list until it is acknowledged, and takes each of the other's once. */
export class CandidateAnnouncements {
  #number = 0
  /** Null when nothing is to be announced. */
  #body: Uint8Array | null = null
  #sends = 0
  #dueAt = Infinity
  #heardNumber = 0

  announce(now: number, candidates: readonly Candidate[]): void {
    this.#number = (this.#number + 1) >>> 0
    this.#body = encodeCandidates({ number: this.#number, candidates })
    this.#sends = 0
    this.#dueAt = now
  }

  dueAt(): number {
    return this.#dueAt
  }

  /** The body to be sent now; null when none is due. */
  next(now: number): Uint8Array | null {
    if (!this.#body || now < this.#dueAt) return null
    this.#sends++
    const gapMs = Math.min(firstGapMs * 2 ** (this.#sends - 1), mostGapMs)
    this.#dueAt = this.#sends < maxSends ? now + gapMs : Infinity
    return this.#body
  }

  acknowledged(body: Uint8Array): void {
    if (body.length !== 4 || viewOf(body).getUint32(0) !== this.#number) return
    this.#body = null
    this.#dueAt = Infinity
  }

  /** The acknowledgement of a well-formed list, and its candidates when it is newer than the last. */
  take(
    body: Uint8Array,
  ): { readonly answer: Uint8Array; readonly candidates: readonly Candidate[] | null } | null {
    const list = decodeCandidates(body)
    if (!list) return null
    const isNewer = list.number > this.#heardNumber
    if (isNewer) this.#heardNumber = list.number
    return { answer: body.slice(0, 4), candidates: isNewer ? list.candidates : null }
  }
}
