// Decides which letters of agents are admitted (A3, A8). The cheap checks come first.

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

/** The kinds that an agent may send to a host. */
type AgentLetter = RequestLetter | SignalLetter | FailureLetter | LeaveLetter

/** An agent whose invite is over may try again after an hour: the owner may have ended it by mistake. */
const inviteRetryMs = 3_600_000

/** A member's request that is declined. The agent may learn why, and when to send another one. */
export type DeclinedRequest = {
  readonly letter: RequestLetter
  readonly reason: HostRefusal
  readonly againInMs: number
}

/** `inviteId`: the invite of a request; null without one. */
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

  /** Call it inside the letter's transaction. `now` is wall time. */
  check(letter: Letter, mail: Pick<ReadMail, 'from' | 'date'>, now: number): Admitted | Refused {
    if (!isAgentLetter(letter)) return refused('unexpected-kind')
    const room = this.#context.self.rooms.find(({ tag }) => equalBytes(tag, letter.room))
    const reason = this.#reasonAgainst(letter, room, mail, now)
    if (reason !== null) return refused(reason)
    if (!room) return refused('not-a-member')
    return letter.kind === 'request' ? this.#checkRequest(letter, room, now) : this.#checkOther(letter, now)
  }

  /** Checks all but membership and rate limits. */
  #reasonAgainst(
    letter: AgentLetter,
    room: HostRoom | undefined,
    mail: Pick<ReadMail, 'from' | 'date'>,
    now: number,
  ): HostRefusal | null {
    const { seen, roomMembers } = this.#options
    const { settings } = this.#context
    const { forgottenUntil, isSeen } = seen.lookUp(letter.from, letter.id)
    // The ID of a letter that is this old may have been seen and forgotten.
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
    if (membership.refusal !== null) return declined(letter, membership.refusal, inviteRetryMs)
    // The last check, so that only admitted letters count. A stranger cannot use up the limits of others.
    const againInMs = this.#count(letter, letter.returnAddress)
    if (againInMs !== null) return declined(letter, 'too-often', againInMs)
    return { admitted: true, letter, inviteId: membership.inviteId }
  }

  #checkOther(letter: Exclude<AgentLetter, RequestLetter>, now: number): Admitted | Refused {
    const address = this.#options.peers.find(letter.room, letter.from, now)?.returnAddress ?? null
    if (address === null) return refused('unknown-sender')
    // A leave letter costs nothing and frees an entry.
    const isTooMuch = letter.kind !== 'leave' && this.#count(letter, address) !== null
    return isTooMuch ? refused('too-often') : { admitted: true, letter, inviteId: null }
  }

  /** Null when the sender is within its limits, else after how many ms it should try again. */
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
