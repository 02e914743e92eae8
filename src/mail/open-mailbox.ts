// Creates the mailbox or sender for a mail URL.

import type { Clock } from '../base/clock.ts'
import { type AccessToken, loginOf } from './auth/credentials.ts'
import { ImapMailbox, type ImapMailboxTiming } from './imap/imap-mailbox.ts'
import { parseReceiveUrl, parseSendUrl, type ReceiveUrl, type SendUrl } from './mail-url.ts'
import type { Mailbox, MailFilter } from './mailbox.ts'
import { MaildirMailbox } from './maildir/maildir-mailbox.ts'
import { MailpitMailbox, type MailpitTimings } from './mailpit/mailpit-mailbox.ts'
import { Pop3Mailbox, type Pop3Timing } from './pop3/pop3-mailbox.ts'
import type { MailSender } from './sender.ts'
import { SmtpSender, type SmtpTiming } from './smtp/smtp-sender.ts'

type MailboxOptions = {
  readonly clock: Clock
  /** Uniform in [0, 1), to scatter retries. Math.random if left out. */
  readonly random?: () => number
  /** Gets a line that a person should read, once. */
  readonly notice?: (line: string) => void
  /** Instead of a password. */
  readonly accessToken?: AccessToken
  readonly imap?: Partial<ImapMailboxTiming>
  readonly pop3?: Partial<Pop3Timing>
  readonly mailpit?: Partial<MailpitTimings>
  /** File in which a POP3 mailbox keeps the IDs of mails that are not ours. Null or left out: no file. */
  readonly uidlCacheFile?: string | null
  /** Between two polls of a Maildir. */
  readonly maildirPollMs?: number
}

/** Creates a mailbox that is not yet open. Throws a Problem if the URL is wrong or the password is missing. */
export function openMailbox(url: string | ReceiveUrl, filter: MailFilter, options: MailboxOptions): Mailbox {
  const parsed = typeof url === 'string' ? parseReceiveUrl(url) : url
  const {
    clock,
    random = Math.random,
    notice = () => undefined,
    accessToken,
    imap,
    pop3,
    mailpit,
    maildirPollMs,
  } = options
  const shared = { clock, notice }
  switch (parsed.protocol) {
    case 'imap':
      return new ImapMailbox(parsed, filter, {
        ...shared,
        random,
        login: loginOf('IMAP', parsed, accessToken),
        ...(imap ? { timing: imap } : {}),
      })
    case 'maildir':
      return new MaildirMailbox(parsed.folder, filter, {
        ...shared,
        ...(maildirPollMs === undefined ? {} : { pollMs: maildirPollMs }),
      })
    case 'pop3':
      return new Pop3Mailbox(parsed, filter, {
        ...shared,
        random,
        login: loginOf('POP3', parsed, accessToken),
        uidlCacheFile: options.uidlCacheFile ?? null,
        ...(pop3 ? { timing: pop3 } : {}),
      })
    case 'mailpit':
      return new MailpitMailbox(parsed, filter, {
        ...shared,
        random,
        ...(mailpit ? { timing: mailpit } : {}),
      })
  }
}

type SenderOptions = {
  readonly clock: Clock
  /** Instead of a password. */
  readonly accessToken?: AccessToken
  readonly timing?: Partial<SmtpTiming>
  readonly connections?: number
}

/** Creates a sender. It connects when the first mail is sent. Throws a Problem `config` if the URL is wrong. */
export function createSender(url: string | SendUrl, options: SenderOptions): MailSender {
  return new SmtpSender(typeof url === 'string' ? parseSendUrl(url) : url, options)
}
