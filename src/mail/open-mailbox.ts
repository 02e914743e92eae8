// The right mailbox or sender for a mail URL.

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
  /** Uniform in [0, 1), for the scatter of retries; Math.random if left out. */
  readonly random?: () => number
  /** Something the person should know, said once, on one line. */
  readonly notice?: (line: string) => void
  /** Instead of a password. */
  readonly accessToken?: AccessToken
  readonly imap?: Partial<ImapMailboxTiming>
  readonly pop3?: Partial<Pop3Timing>
  readonly mailpit?: Partial<MailpitTimings>
  /** Where a POP3 mailbox keeps the IDs of mails that are not ours; null or left out: nowhere. */
  readonly memoryFile?: string | null
  /** Between two looks at a Maildir. */
  readonly maildirPollMs?: number
}

/** A mailbox, not yet open. Throws a Problem for a URL that is wrong or lacks a password. */
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
        ...{ random, login: loginOf('IMAP', parsed, accessToken) },
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
        ...{ random, login: loginOf('POP3', parsed, accessToken), memoryFile: options.memoryFile ?? null },
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

/** A sender; nothing is connected before the first mail. Throws a Problem `config` for a URL that is wrong. */
export function createSender(url: string | SendUrl, options: SenderOptions): MailSender {
  return new SmtpSender(typeof url === 'string' ? parseSendUrl(url) : url, options)
}
