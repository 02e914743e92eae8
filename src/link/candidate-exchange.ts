// Candidates announced over the link itself: where an agent can be reached now.
//
//      0              4
//      +--------------+------------------------------------------------------------+
//      |  number (4)  |  at most 16 times: kind (1), length (1), endpoint (6 or 18) |
//      +--------------+------------------------------------------------------------+
//      kind 1 host  2 server-reflexive  3 peer-reflexive  4 port-mapped  5 predicted
//
// `number` starts at 1 and rises with every list. A list is repeated until it is acknowledged. A list whose
// number is not higher than the last one has no effect.

import { concatBytes, viewOf } from '../base/bytes.ts'
import { type Candidate, type CandidateKind, decodeEndpoint, encodeEndpoint } from '../base/endpoint.ts'

export const maxCandidates = 16
/** A list that is still not acknowledged after so many sends is given up; the next list starts anew. */
const maxSends = 12
const firstRepeatMs = 300
const maxRepeatMs = 8_000
const kinds: readonly CandidateKind[] = [
  'host',
  'server-reflexive',
  'peer-reflexive',
  'port-mapped',
  'predicted',
]

type CandidateList = { readonly number: number; readonly candidates: readonly Candidate[] }

/** Encodes the first `maxCandidates` candidates; leaves out the rest. */
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

/** Repeats our newest list until it is acknowledged, and accepts each list of the peer once. */
export class CandidateAnnouncements {
  #number = 0
  /** The list being announced; null when there is none. */
  #body: Uint8Array | null = null
  #sends = 0
  #dueAt = Infinity
  #receivedNumber = 0

  announce(now: number, candidates: readonly Candidate[]): void {
    this.#number = (this.#number + 1) >>> 0
    this.#body = encodeCandidates({ number: this.#number, candidates })
    this.#sends = 0
    this.#dueAt = now
  }

  dueAt(): number {
    return this.#dueAt
  }

  /** The body to send now; null when none is due. */
  nextBody(now: number): Uint8Array | null {
    if (!this.#body || now < this.#dueAt) return null
    this.#sends++
    const repeatMs = Math.min(firstRepeatMs * 2 ** (this.#sends - 1), maxRepeatMs)
    this.#dueAt = this.#sends < maxSends ? now + repeatMs : Infinity
    return this.#body
  }

  handleAcknowledgement(body: Uint8Array): void {
    if (body.length !== 4 || viewOf(body).getUint32(0) !== this.#number) return
    this.#body = null
    this.#dueAt = Infinity
  }

  /**
   * Null for a malformed list. Else its acknowledgement, and its candidates when the list is newer than the
   * last.
   */
  handleList(
    body: Uint8Array,
  ): { readonly acknowledgement: Uint8Array; readonly candidates: readonly Candidate[] | null } | null {
    const list = decodeCandidates(body)
    if (!list) return null
    const isNewer = list.number > this.#receivedNumber
    if (isNewer) this.#receivedNumber = list.number
    return { acknowledgement: body.slice(0, 4), candidates: isNewer ? list.candidates : null }
  }
}
