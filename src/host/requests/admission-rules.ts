// Which opened letters are let in (A3, A8). Pure: the clock, the memory and the room's proof come as arguments, and
// the cheap questions are asked first.

import { equalBytes } from '../../base/bytes.ts'
import { sameAddress } from '../../base/mail-address.ts'
import type {
  FailureLetter,
  LeaveLetter,
  Letter,
  RequestLetter,
  RoomTag,
  SignalLetter,
  UserId,
} from '../../letter/letter-types.ts'
import type { HostRefusal } from '../../letter/refusal.ts'
import type { InviteState } from '../../store/invites.ts'
import type { Sender } from './sender-rate-limits.ts'

/** Kinds that an agent may send to a host. */
export type AgentLetter = RequestLetter | SignalLetter | FailureLetter | LeaveLetter

export type HostRoom = {
  readonly tag: RoomTag
  /** Who has only the room's secret is not let in. */
  readonly invitesRequired: boolean
}

/** Whose invite is over asks again after an hour at the earliest: it may have been a mistake. */
const overAgainMs = 3_600_000

/** By what the sender of a request is in the room it names; `nothing` where a signature does not hold. */
export type Membership =
  | { readonly by: 'nothing' | 'secret' }
  | { readonly by: 'invite'; readonly id: number; readonly state: InviteState }

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
  readonly rooms: readonly HostRoom[]
  readonly isSeen: boolean
  readonly membershipOf: (letter: RequestLetter) => Membership
  readonly isBlocked: (user: UserId) => boolean
  /** Of the living entry that the letter's sender has in its room; null when there is none. */
  readonly returnAddressOf: (letter: SignalLetter | FailureLetter | LeaveLetter) => string | null
  /** Counts a letter of this sender: null when it is within its limits, or in how many ms it is worth coming again. */
  readonly count: (sender: Sender) => number | null
}

/** A member's request that is not granted: it may be told why, and when to ask again. */
export type Decline = { readonly reason: HostRefusal; readonly againInMs: number }

export type Admission =
  /** `inviteId`: of a request that came by an invite. */
  | { readonly admitted: true; readonly letter: AgentLetter; readonly inviteId: number | null }
  | {
      readonly admitted: false
      readonly reason: HostRefusal
      readonly declined?: { readonly letter: RequestLetter; readonly decline: Decline }
    }

export function admit(question: AdmissionQuestion, settings: AdmissionSettings): Admission {
  const { letter } = question
  if (!isAgentLetter(letter)) return { admitted: false, reason: 'unexpected-kind' }
  const room = question.rooms.find(({ tag }) => equalBytes(tag, letter.room))
  const reason = reasonAgainst(letter, room, question, settings)
  if (reason !== null) return { admitted: false, reason }
  if (!room) return { admitted: false, reason: 'not-a-member' }
  return letter.kind === 'request' ? admitRequest(letter, room, question) : admitOther(letter, question)
}

function admitRequest(letter: RequestLetter, room: HostRoom, question: AdmissionQuestion): Admission {
  const membership = question.membershipOf(letter)
  const fault = faultOf(membership, room)
  if (fault === 'not-a-member') return { admitted: false, reason: fault }
  if (fault !== null) return declined(letter, { reason: fault, againInMs: overAgainMs })
  // Last, for only what is admitted counts: nobody can use up the limits of others.
  const againInMs = question.count({ key: letter.from, address: letter.returnAddress })
  if (againInMs !== null) return declined(letter, { reason: 'too-often', againInMs })
  return { admitted: true, letter, inviteId: membership.by === 'invite' ? membership.id : null }
}

function admitOther(letter: Exclude<AgentLetter, RequestLetter>, question: AdmissionQuestion): Admission {
  const address = question.returnAddressOf(letter)
  if (address === null) return { admitted: false, reason: 'unknown-sender' }
  // A goodbye costs nothing and makes room.
  const isTooMuch = letter.kind !== 'leave' && question.count({ key: letter.from, address }) !== null
  return isTooMuch ? { admitted: false, reason: 'too-often' } : { admitted: true, letter, inviteId: null }
}

function declined(letter: RequestLetter, decline: Decline): Admission {
  return { admitted: false, reason: decline.reason, declined: { letter, decline } }
}

function isAgentLetter(letter: Letter): letter is AgentLetter {
  return (
    letter.kind === 'request' ||
    letter.kind === 'signal' ||
    letter.kind === 'failure' ||
    letter.kind === 'leave'
  )
}

/** All but membership and limits. */
function reasonAgainst(
  letter: AgentLetter,
  room: HostRoom | undefined,
  question: AdmissionQuestion,
  settings: AdmissionSettings,
): HostRefusal | null {
  if (letter.sentAt <= question.forgottenUntil) return 'stale'
  const dates = question.mailDate === null ? [letter.sentAt] : [letter.sentAt, question.mailDate]
  for (const date of dates) {
    if (question.wallNow - date > settings.freshnessMs) return 'stale'
    if (date - question.wallNow > settings.futureToleranceMs) return 'from-the-future'
  }
  if (!room) return 'not-a-member'
  if (question.isBlocked(letter.from)) return 'blocked'
  if (question.isSeen) return 'copy'
  if (letter.kind !== 'request') return null
  return sameAddress(letter.returnAddress, question.mailFrom) ? null : 'wrong-return-address'
}

const faultsOf = {
  open: null,
  ended: 'invite-ended',
  revoked: 'invite-revoked',
  'used-up': 'invite-used-up',
} as const satisfies Record<InviteState, HostRefusal | null>

/** Null where it lets in. */
export function faultOf(membership: Membership, room: HostRoom): HostRefusal | null {
  switch (membership.by) {
    case 'nothing':
      return 'not-a-member'
    case 'secret':
      return room.invitesRequired ? 'invite-required' : null
    case 'invite':
      return faultsOf[membership.state]
  }
}
