// A place where letters are read, whatever the protocol behind it. Only mail with our subject that is addressed to us is
// ever shown; nothing else is read, marked or removed.

import type { MayTakeNewest } from '../base/fair-order.ts'
import type { ParsedMail } from './mime/parse-mail.ts'

/** One mail taken from a mailbox, untouched there until it is removed. */
export type FetchedMail = {
  /** Names the mail in this mailbox until `remove`; meaningless to anybody else. */
  readonly ref: string
  /** The RFC 5322 bytes, or null where the mail is larger than the limit and was not downloaded. */
  readonly raw: Uint8Array | null
  readonly sizeBytes: number
  /** Where the mailbox had the whole mail when it looked whose it is. */
  readonly parsed?: ParsedMail
}

export type MailboxState =
  | { readonly state: 'connected' }
  /** `reason` is one line without secrets; `retryInMs` until the next attempt. */
  | { readonly state: 'disconnected'; readonly reason: string; readonly retryInMs: number }

export interface Mailbox {
  /** Called when there may be new mail: a hint, never a promise. Also after every (re)connection. */
  onWake: () => void
  onState: (state: MailboxState) => void

  /** Recognises a report that one of our own mails came back. Such mails are shown, too; without this none is. To be
   *  set before `open`. */
  isOurReport?: (raw: Uint8Array) => boolean

  /** Whether a letter in this mail is sealed to us: a mailbox that several share asks. To be set before `open`. */
  opens?: (text: string) => boolean

  /** Of these refs, those that no other process has in hand; asked before mails are downloaded. A mailbox that knows
   *  nothing of it shows all to everybody. To be set before `open`. */
  claim?: (refs: readonly string[]) => ReadonlySet<string>

  /** Without it the oldest always come first. To be set before `open`. */
  mayTakeNewest?: MayTakeNewest

  /** Connects once and keeps the connection from then on. Rejects with a Problem if the first attempt fails
   *  for a reason that waiting will not mend (wrong password, no such host, folder missing). */
  open(): Promise<void>

  /** Oldest first, or in turns where that is allowed and many wait; at most `limit`. The same mails come again until they are removed, so a caller that died
   *  half-way loses nothing; one that works on several batches at once passes the refs it still has in hand
   *  as `except`. Looks for new mail when a wake-up or some time says there may be some; a backlog is worked
   *  off without searching again. Rejects while disconnected or when the server fails; the supervisor
   *  reconnects by itself. */
  fetch(limit: number, except?: ReadonlySet<string>): Promise<readonly FetchedMail[]>

  /** Deletes by unique ID; unknown refs are ignored. An empty list does nothing. */
  remove(refs: readonly string[]): Promise<void>

  /** The computer is in another network, or has slept: a connection that is dead is found out within seconds. */
  check?(): void

  close(): Promise<void>
}

/** What makes a mail ours. */
export type MailFilter = {
  readonly subject: string
  /** The address it must be sent to, compared without regard to case. */
  readonly address: string
  /** Larger mails are shown with `raw: null`. */
  readonly maxBytes: number
}
