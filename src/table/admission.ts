// Which opened letters are let in (A3, A8). Pure: the clock, the memory and the room's proof come as arguments, and
// the cheap questions are asked first.

import { equalBytes } from '../base/bytes.ts'
import type {
  FailureLetter,
  LeaveLetter,
  Letter,
  RequestLetter,
  RoomTag,
  SignalLetter,
} from '../letter/kinds.ts'
import type { HostRefusal } from '../letter/refusal.ts'

/** Kinds that an agent may send to a host. */
export type AgentLetter = RequestLetter | SignalLetter | FailureLetter | LeaveLetter

export type AdmissionSettings = {
  readonly freshnessMs: number
  readonly futureToleranceMs: number
}

export type AdmissionQuestion = {
  readonly letter: Letter
  /** The mail's only From address. */
  readonly mailFrom: string
  /** The mail's Date as Unix ms; null when it has none. */
  readonly mailDate: number | null
  /** Unix ms by our clock. */
  readonly wallNow: number
  /** Letters signed at this time (Unix ms) or before may have been seen and forgotten. */
  readonly forgottenUntil: number
  readonly rooms: readonly RoomTag[]
  readonly isSeen: (letter: AgentLetter) => boolean
  readonly isProven: (letter: RequestLetter) => boolean
  /** Whether the letter's sender has a living entry in its room. */
  readonly isKnown: (letter: SignalLetter | FailureLetter | LeaveLetter) => boolean
}

export type Admission =
  | { readonly admitted: true; readonly letter: AgentLetter }
  | { readonly admitted: false; readonly reason: HostRefusal }

export function admit(question: AdmissionQuestion, settings: AdmissionSettings): Admission {
  const { letter } = question
  if (!isAgentLetter(letter)) return { admitted: false, reason: 'unexpected-kind' }
  const reason = reasonAgainst(letter, question, settings)
  return reason === null ? { admitted: true, letter } : { admitted: false, reason }
}

function isAgentLetter(letter: Letter): letter is AgentLetter {
  return (
    letter.kind === 'request' ||
    letter.kind === 'signal' ||
    letter.kind === 'failure' ||
    letter.kind === 'leave'
  )
}

function reasonAgainst(
  letter: AgentLetter,
  question: AdmissionQuestion,
  settings: AdmissionSettings,
): HostRefusal | null {
  if (letter.sentAt <= question.forgottenUntil) return 'stale'
  const dates = question.mailDate === null ? [letter.sentAt] : [letter.sentAt, question.mailDate]
  for (const date of dates) {
    if (question.wallNow - date > settings.freshnessMs) return 'stale'
    if (date - question.wallNow > settings.futureToleranceMs) return 'from-the-future'
  }
  if (!question.rooms.some((room) => equalBytes(room, letter.room))) return 'not-a-member'
  if (question.isSeen(letter)) return 'copy'
  if (letter.kind !== 'request') return question.isKnown(letter) ? null : 'unknown-sender'
  if (!equalAddresses(letter.returnAddress, question.mailFrom)) return 'wrong-return-address'
  return question.isProven(letter) ? null : 'not-a-member'
}

/** Without regard to case: mail servers rewrite it, and no provider tells users apart by it. */
function equalAddresses(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase()
}
