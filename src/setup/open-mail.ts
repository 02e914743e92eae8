// Opens the mailbox and the sender from a config and its secret files, for host and agent.

import { readSecret } from '../config/secret-files.ts'
import { limits } from '../letter/limits.ts'
import type { AccessToken } from '../mail/auth/credentials.ts'
import {
  parseReceiveUrl,
  parseSendUrl,
  type ReceiveUrl,
  type SendUrl,
  withPassword,
} from '../mail/mail-url.ts'
import type { Mailbox } from '../mail/mailbox.ts'
import { createSender, openMailbox } from '../mail/open-mailbox.ts'
import type { MailSender } from '../mail/sender.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { accessTokens, type OAuthSettings } from './oauth-settings.ts'

export type MailSettings = {
  readonly receive: string
  readonly send: string
  readonly receive_password_file?: string | undefined
  readonly send_password_file?: string | undefined
  readonly oauth?: OAuthSettings | undefined
}

/** Returns the URLs with their passwords. `tokens` is set when OAuth 2.0 is used instead. */
export function readMailUrls(
  settings: MailSettings,
  path: (text: string) => string,
): { readonly receive: ReceiveUrl; readonly send: SendUrl; readonly tokens: AccessToken | undefined } {
  const secret = (file: string | undefined, what: string) => (file ? readSecret(path(file), what) : null)
  const receivePassword = secret(settings.receive_password_file, 'The password for receiving mail')
  const sendPassword = secret(settings.send_password_file, 'The password for sending mail')
  const receive = parseReceiveUrl(settings.receive)
  const send = parseSendUrl(settings.send)
  return {
    receive: receivePassword === null ? receive : withPassword(receive, receivePassword),
    send: sendPassword === null ? send : withPassword(send, sendPassword),
    tokens: settings.oauth && accessTokens(settings.oauth, path),
  }
}

export type OpenMail = { readonly mailbox: Mailbox; readonly sender: MailSender }

export function openMail(
  settings: MailSettings,
  path: (text: string) => string,
  filter: { readonly subject: string; readonly address: string },
  onNotice: (notice: string) => void,
): OpenMail {
  const { receive, send, tokens } = readMailUrls(settings, path)
  return {
    mailbox: openMailbox(
      receive,
      { ...filter, maxBytes: limits.mailBytes },
      {
        clock: systemClock,
        notice: onNotice,
        uidlCacheFile: path('foreign-mails.uidl'),
        ...tokenFor(receive, tokens),
      },
    ),
    sender: createSender(send, { clock: systemClock, ...tokenFor(send, tokens) }),
  }
}

/** A token is used for a server when its URL has a user and no password. */
export function tokenFor(
  url: ReceiveUrl | SendUrl,
  accessToken: AccessToken | undefined,
): { readonly accessToken?: AccessToken } {
  const wants =
    (url.protocol === 'imap' || url.protocol === 'pop3' || url.protocol === 'smtp') && url.password === null
  return wants && url.user !== null && accessToken ? { accessToken } : {}
}
