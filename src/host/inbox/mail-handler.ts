// The interface to what a host does with a fetched mail: most hosts answer its letter, a representative forwards it.

import type { LetterKind } from '../../letter/letter-types.ts'
import type { FetchedMail } from '../../mail/mailbox.ts'
import type { DropReason } from '../events.ts'

/** The letter's effect is on disk as a whole, or not at all. The mail can be removed from the mailbox. */
export type Handled =
  | { readonly outcome: 'accepted'; readonly kind: LetterKind }
  | { readonly outcome: 'dropped'; readonly kind: LetterKind | 'unknown'; readonly reason: DropReason }

/** A mail that is read and not yet handled. */
export type PendingLetter = {
  readonly kind: LetterKind | 'unknown'
  /** Called inside a transaction. Null when the letter is accepted, else why it has no effect. */
  readonly settle: () => DropReason | null
  /** Called after the commit, whether the letter was accepted or dropped. */
  readonly onCommit?: () => void
}

export interface MailHandler {
  /** How many mails may be fetched now, so that the outbox has room for the answer to each. */
  freeSlots(): number
  /** Rejects only with a Problem 'database' or after a fault of our own code. */
  read(mail: FetchedMail): Promise<PendingLetter>
  /** Called at the end of each transaction in which letters were settled. */
  closeGroup?(): void
}
