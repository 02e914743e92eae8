// Mailbox and sender from a config and its secret files; the same for host and agent.

import { readSecret } from '../config/secrets.ts'
import { limits } from '../letter/limits.ts'
import {
  parseReceiveUrl,
  parseSendUrl,
  type ReceiveUrl,
  type SendUrl,
  withPassword,
} from '../mail/mail-url.ts'
import type { Mailbox } from '../mail/mailbox.ts'
import { createSender, openMailbox } from '../mail/open.ts'
import type { MailSender } from '../mail/sender.ts'
import { systemClock } from '../net/system-clock.ts'

export type MailSettings = {
  readonly receive: string
  readonly send: string
  readonly receive_password_file?: string | undefined
  readonly send_password_file?: string | undefined
}

/** The URLs with the passwords in them. */
export function readMailUrls(
  settings: MailSettings,
  path: (text: string) => string,
): { readonly receive: ReceiveUrl; readonly send: SendUrl } {
  const secret = (file: string | undefined, what: string) => (file ? readSecret(path(file), what) : null)
  const receivePassword = secret(settings.receive_password_file, 'The password for receiving mail')
  const sendPassword = secret(settings.send_password_file, 'The password for sending mail')
  const receive = parseReceiveUrl(settings.receive)
  const send = parseSendUrl(settings.send)
  return {
    receive: receivePassword === null ? receive : withPassword(receive, receivePassword),
    send: sendPassword === null ? send : withPassword(send, sendPassword),
  }
}

export function openMail(
  settings: MailSettings,
  path: (text: string) => string,
  filter: { readonly subject: string; readonly address: string },
  onNotice: (notice: string) => void,
): { readonly mailbox: Mailbox; readonly sender: MailSender } {
  const { receive, send } = readMailUrls(settings, path)
  return {
    mailbox: openMailbox(
      receive,
      { ...filter, maxBytes: limits.mailBytes },
      { clock: systemClock, notice: onNotice, memoryFile: path('foreign-mails.uidl') },
    ),
    sender: createSender(send, { clock: systemClock }),
  }
}
