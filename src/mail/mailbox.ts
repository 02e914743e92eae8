// The interface of all mailboxes. A mailbox shows only mails that have our subject and our address. Other mails are
// neither marked nor removed.

import type { MayTakeNewest } from '../base/fair-order.ts'
import type { ParsedMail } from './mime/parse-mail.ts'

/** A mail from a mailbox. It stays there unchanged until it is removed. */
export type FetchedMail = {
  /** ID of the mail in this mailbox, valid until `remove`. */
  readonly ref: string
  /** The RFC 5322 bytes. Null if the mail is larger than the limit, so it was not downloaded. */
  readonly raw: Uint8Array | null
  readonly sizeBytes: number
  /** Set if the mailbox parsed the whole mail to decide whether it is ours. */
  readonly parsed?: ParsedMail
}

export type MailboxState =
  | { readonly state: 'connected' }
  /** `reason`: one line without secrets. `retryInMs`: time until the next attempt. */
  | { readonly state: 'disconnected'; readonly reason: string; readonly retryInMs: number }

/** What the reader of a mailbox hears from it, and decides for it. */
export type MailboxHandlers = {
  /** Called when there may be new mail, and after each connection. It is only a hint. */
  readonly onWake?: () => void
  readonly onState?: (state: MailboxState) => void
  /** Whether a mail is the bounce of one of our own mails. Absent: no bounces are shown. */
  readonly isOurReport?: (raw: Uint8Array) => boolean
  /** Whether a letter in this text is sealed to us. Used by a mailbox that several readers share. */
  readonly opens?: (text: string) => boolean
  /** Leases mails before they are downloaded. Returns the refs that no other process has leased. Only IMAP
   *  mailboxes use it. */
  readonly lease?: (refs: readonly string[]) => ReadonlySet<string>
  /** Whether the newest mails may come first. Absent: the oldest always come first. */
  readonly mayTakeNewest?: MayTakeNewest
}

export interface Mailbox {
  /** Connects, and reconnects by itself from then on. Rejects with a Problem if the first attempt fails for a
   *  lasting reason: wrong password, unknown host, missing folder. */
  open(handlers?: MailboxHandlers): Promise<void>

  /** At most `limit` mails, oldest first. If many wait and `mayTakeNewest` allows it, the newest and the oldest
   *  alternate. The same mails come again until they are removed, so a crash loses nothing. `except`: refs that
   *  the caller still works on. Searches for new mail only after a wake-up or some time. Rejects while there is no
   *  connection or if the server fails. */
  fetch(limit: number, except?: ReadonlySet<string>): Promise<readonly FetchedMail[]>

  /** Deletes mails by their refs. Unknown refs are ignored. */
  remove(refs: readonly string[]): Promise<void>

  /** Call this when the network changed or the computer was suspended. A dead connection is then noticed within
   *  seconds. */
  check?(): void

  close(): Promise<void>
}

/** What makes a mail ours. */
export type MailFilter = {
  readonly subject: string
  /** The address of the recipient. Case is ignored. */
  readonly address: string
  /** Larger mails are shown with `raw: null`. */
  readonly maxBytes: number
}
