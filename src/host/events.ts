// What a running host tells, and the counts it keeps of it.

import type { Problem } from '../base/problem.ts'
import type { LetterKind } from '../letter/letter-types.ts'
import type { HostRefusal } from '../letter/refusal.ts'
import type { MailboxState } from '../mail/mailbox.ts'
import type { OutboxKind } from '../store/outbox.ts'
import type { BudgetState } from '../store/send-budget.ts'

/** Kinds that a host sends. */
export type SentKind = OutboxKind

export type DropReason =
  | HostRefusal
  /** The peer it speaks of has no entry in the room (any more). */
  | 'unknown-peer'
  /** Sent by a program that wants no answer: a list, a vacation notice, a bounce that is not about our mail. */
  | 'automatic'
  /** One of our own mails came back. */
  | 'bounce'
  /** A letter for hosts, from none that we know. */
  | 'unknown-host'
  /** A worker found it after it was away: its representative is asked whether another one has it. */
  | 'asked-for'
  /** Mail to its return address, or to the peer it is for, came back lately. */
  | 'unreachable'

export type HostEvent =
  /** The mailbox is open and letters are being taken. */
  | { readonly event: 'ready'; readonly address: string; readonly rooms: readonly string[] }
  /** A mail with our subject was dealt with. `unknown`: it could not be opened. */
  | { readonly event: 'letter'; readonly kind: LetterKind | 'unknown'; readonly outcome: 'accepted' }
  | {
      readonly event: 'letter'
      readonly kind: LetterKind | 'unknown'
      readonly outcome: 'dropped'
      readonly reason: DropReason
    }
  | { readonly event: 'sent'; readonly kind: SentKind }
  /** A mail that did not go: `later` is tried again, `refused` and `given-up` are dropped. */
  | {
      readonly event: 'unsent'
      readonly kind: SentKind
      readonly outcome: 'later' | 'refused' | 'given-up'
      readonly reason: string
    }
  /** Of what may be sent in a day: told when it changes. */
  | {
      readonly event: 'budget'
      readonly state: BudgetState
      /** In the last day. */
      readonly sent: number
      readonly perDay: number
      /** Until what waits may be sent again; null while nothing waits. */
      readonly moreInMs: number | null
    }
  /** Of a host that may stand by: whether it answers. */
  | { readonly event: 'standing'; readonly state: 'awake' | 'standby' }
  | ({ readonly event: 'mailbox' } & MailboxState)
  /** The database or the mailbox failed: no letters are taken until it works again, and none is lost. Or the server that
   *  takes our mails, or our account there: they wait. Or our own code failed on one letter, which was dropped. */
  | { readonly event: 'trouble'; readonly problem: Problem }

/** Counts since the start. Keys of `letters` are `kind accepted` or `kind dropped reason`. */
export type HostCounters = {
  readonly letters: Readonly<Record<string, number>>
  /** Keys are `kind sent`, `kind later`, `kind refused`, `kind given-up`. */
  readonly mails: Readonly<Record<string, number>>
  /** As they are now. */
  readonly entries: number
  readonly waitingMails: number
  readonly waitingIntroductions: number
  readonly seenLetters: number
  /** In the last day, also before the start. */
  readonly sentInDay: number
}
