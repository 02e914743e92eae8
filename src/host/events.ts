// The events and counters of a running host.

import type { Problem } from '../base/problem.ts'
import type { LetterKind } from '../letter/letter-types.ts'
import type { HostRefusal } from '../letter/refusal.ts'
import type { MailboxState } from '../mail/mailbox.ts'
import type { OutboxKind } from '../store/outbox.ts'
import type { BudgetState } from '../store/send-budget.ts'

/** The kinds of letters that a host sends. */
export type SentKind = OutboxKind

export type DropReason =
  | HostRefusal
  /** The peer that the letter names has no entry in the room. */
  | 'unknown-peer'
  /** From a program that wants no answer: a list, a vacation notice, a bounce of a mail that is not ours. */
  | 'automatic'
  /** A bounce of one of our own mails. */
  | 'bounce'
  /** A letter between hosts, from a host that we do not know. */
  | 'unknown-host'
  /** A worker found it after it was away. It asks its representative whether another worker has the letter. */
  | 'asked-for'
  /** Mail to its return address, or to the peer it names, bounced lately. */
  | 'unreachable'

export type HostEvent =
  /** The mailbox is open, and the host reads letters. */
  | { readonly event: 'ready'; readonly address: string; readonly rooms: readonly string[] }
  /** A mail with our subject was handled. `unknown`: it could not be opened. */
  | { readonly event: 'letter'; readonly kind: LetterKind | 'unknown'; readonly outcome: 'accepted' }
  | {
      readonly event: 'letter'
      readonly kind: LetterKind | 'unknown'
      readonly outcome: 'dropped'
      readonly reason: DropReason
    }
  | { readonly event: 'sent'; readonly kind: SentKind }
  /** A mail was not sent. `later`: the host tries it again. `refused`, `given-up`: it is dropped. */
  | {
      readonly event: 'unsent'
      readonly kind: SentKind
      readonly outcome: 'later' | 'refused' | 'given-up'
      readonly reason: string
    }
  /** The state of the day's sending budget changed. */
  | {
      readonly event: 'budget'
      readonly state: BudgetState
      /** Mails in the last day. */
      readonly sent: number
      readonly perDay: number
      /** Time until waiting mails may be sent; null while no mail has to wait. */
      readonly moreInMs: number | null
    }
  /** A host with a standby setting: whether it answers agents. */
  | { readonly event: 'standing'; readonly state: 'awake' | 'standby' }
  | ({ readonly event: 'mailbox' } & MailboxState)
  /** One of three failures. The database or the mailbox: no letter is read until it works again, and none is lost. The SMTP
   *  server or our account there: mails wait. Our own code: one letter is dropped. */
  | { readonly event: 'trouble'; readonly problem: Problem }

export type HostCounters = {
  /** Since the start. Keys are `kind accepted` or `kind dropped reason`. */
  readonly letters: Readonly<Record<string, number>>
  /** Since the start. Keys are `kind sent`, `kind later`, `kind refused`, `kind given-up`. */
  readonly mails: Readonly<Record<string, number>>
  /** This and the following are current values. */
  readonly entries: number
  readonly waitingMails: number
  readonly waitingIntroductions: number
  readonly seenLetters: number
  /** Mails in the last day, also those before the start. */
  readonly sentInDay: number
}
