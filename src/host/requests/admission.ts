// Which letters of agents are let in (A3, A8). The cheap questions are asked first.

import { equalBytes } from '../../base/bytes.ts'
import { sameAddress } from '../../base/mail-address.ts'
import type {
  FailureLetter,
  LeaveLetter,
  Letter,
  RequestLetter,
  SignalLetter,
} from '../../letter/letter-types.ts'
import type { HostRefusal } from '../../letter/refusal.ts'
import type { ReadMail } from '../../mail/mime/parse-mail.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { SeenLetters } from '../../store/seen-letters.ts'
import type { HostContext, HostRoom } from '../context.ts'
import type { RoomMembers } from './room-members.ts'
import type { SenderLimits } from './sender-rate-limits.ts'

/** Kinds that an agent may send to a host. */
type AgentLetter = RequestLetter | SignalLetter | FailureLetter | LeaveLetter

/** Whose invite is over asks again after an hour at the earliest: it may have been a mistake. */
const overAgainMs = 3_600_000

/** A member's request that is not granted: it may be told why, and when to ask again. */
export type DeclinedRequest = {
  readonly letter: RequestLetter
  readonly reason: HostRefusal
  readonly againInMs: number
}

/** `inviteId`: of a request that came by an invite. */
export type Admitted = {
  readonly admitted: true
  readonly letter: AgentLetter
  readonly inviteId: number | null
}

export type Refused = {
  readonly admitted: false
  readonly reason: HostRefusal
  readonly declined?: DeclinedRequest
}

type AdmissionOptions = {
  readonly peers: PeerTable
  readonly seen: SeenLetters
  readonly roomMembers: RoomMembers
  readonly senderLimits: SenderLimits
}

export class Admission {
  readonly #context: HostContext
  readonly #options: AdmissionOptions

  constructor(context: HostContext, options: AdmissionOptions) {
    this.#context = context
    this.#options = options
  }

  /** To be called inside the letter's transaction. `now` is wall time. */
  check(letter: Letter, mail: Pick<ReadMail, 'from' | 'date'>, now: number): Admitted | Refused {
    if (!isAgentLetter(letter)) return refused('unexpected-kind')
    const room = this.#context.self.rooms.find(({ tag }) => equalBytes(tag, letter.room))
    const reason = this.#reasonAgainst(letter, room, mail, now)
    if (reason !== null) return refused(reason)
    if (!room) return refused('not-a-member')
    return letter.kind === 'request' ? this.#checkRequest(letter, room, now) : this.#checkOther(letter, now)
  }

  /** All but membership and limits. */
  #reasonAgainst(
    letter: AgentLetter,
    room: HostRoom | undefined,
    mail: Pick<ReadMail, 'from' | 'date'>,
    now: number,
  ): HostRefusal | null {
    const { seen, roomMembers } = this.#options
    const { settings } = this.#context
    const { forgottenUntil, isSeen } = seen.lookUp(letter.from, letter.id)
    // Signed then or before it may have been seen and forgotten.
    if (letter.sentAt <= forgottenUntil) return 'stale'
    const dates = mail.date === null ? [letter.sentAt] : [letter.sentAt, mail.date]
    for (const date of dates) {
      if (now - date > settings.freshnessMs) return 'stale'
      if (date - now > settings.futureToleranceMs) return 'from-the-future'
    }
    if (!room) return 'not-a-member'
    if (roomMembers.isBlocked(letter.from)) return 'blocked'
    if (isSeen) return 'copy'
    if (letter.kind !== 'request') return null
    return sameAddress(letter.returnAddress, mail.from) ? null : 'wrong-return-address'
  }

  #checkRequest(letter: RequestLetter, room: HostRoom, now: number): Admitted | Refused {
    const membership = this.#options.roomMembers.check(letter, room, now)
    if (membership.refusal === 'not-a-member') return refused(membership.refusal)
    if (membership.refusal !== null) return declined(letter, membership.refusal, overAgainMs)
    // Last, for only what is admitted counts: nobody can use up the limits of others.
    const againInMs = this.#count(letter, letter.returnAddress)
    if (againInMs !== null) return declined(letter, 'too-often', againInMs)
    return { admitted: true, letter, inviteId: membership.inviteId }
  }

  #checkOther(letter: Exclude<AgentLetter, RequestLetter>, now: number): Admitted | Refused {
    const address = this.#options.peers.find(letter.room, letter.from, now)?.returnAddress ?? null
    if (address === null) return refused('unknown-sender')
    // A goodbye costs nothing and makes room.
    const isTooMuch = letter.kind !== 'leave' && this.#count(letter, address) !== null
    return isTooMuch ? refused('too-often') : { admitted: true, letter, inviteId: null }
  }

  /** Null when the sender is within its limits, or in how many ms it is worth coming again. */
  #count({ from }: AgentLetter, address: string): number | null {
    return this.#options.senderLimits.take(this.#context.clock.now(), { key: from, address })
  }
}

function refused(reason: HostRefusal): Refused {
  return { admitted: false, reason }
}

function declined(letter: RequestLetter, reason: HostRefusal, againInMs: number): Refused {
  return { admitted: false, reason, declined: { letter, reason, againInMs } }
}

function isAgentLetter(letter: Letter): letter is AgentLetter {
  return (
    letter.kind === 'request' ||
    letter.kind === 'signal' ||
    letter.kind === 'failure' ||
    letter.kind === 'leave'
  )
}
