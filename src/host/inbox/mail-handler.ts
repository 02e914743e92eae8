// What is done with a mail, once it is fetched: most hosts answer its letter, a representative host hands it on.

import type { LetterKind } from '../../letter/letter-types.ts'
import type { FetchedMail } from '../../mail/mailbox.ts'
import type { DropReason } from '../events.ts'

/** When this is emitted, whatever the letter asks for is on disk, or nothing of it; the mail can go. */
export type Handled =
  | { readonly outcome: 'accepted'; readonly kind: LetterKind }
  | { readonly outcome: 'dropped'; readonly kind: LetterKind | 'unknown'; readonly reason: DropReason }

/** A mail that was read. */
export type PendingLetter = {
  readonly kind: LetterKind | 'unknown'
  /** Inside a transaction. Null when the letter is taken, or why it has no effect. */
  readonly settle: () => DropReason | null
  /** Once it is settled, whatever came of it, and committed. */
  readonly onCommit?: () => void
}

export interface MailHandler {
  /** Mails that may be taken now: what follows from each has a place to wait. */
  room(): number
  /** May reject or throw only for bugs of ours and with a Problem 'database'. */
  read(mail: FetchedMail): Promise<PendingLetter>
  /** Inside the transaction in which some letters were settled, after the last of them. */
  closeGroup?(): void
}
