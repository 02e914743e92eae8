// Reports what is known about the mail provider: its limits, and how programs log in.

import type { ReceiveUrl } from '../../mail/mail-url.ts'
import {
  loginAdvice,
  type Provider,
  providerOf,
  providerOfServer,
} from '../../mail/providers/provider-lookup.ts'
import { count, seconds } from '../../wording/numbers-text.ts'
import { type Finding, ok } from './findings.ts'

export function checkProvider(address: string, receive: ReceiveUrl): readonly Finding[] {
  const byServer = receive.protocol === 'maildir' ? null : providerOfServer(receive.host)
  const provider = byServer ?? providerOf(address)
  if (!provider) return []
  const words = [...limitsOf(provider, receive), loginAdvice(provider)].filter(
    (sentence) => sentence !== null,
  )
  return [ok('provider', words.length > 0 ? words.join(' ') : `${provider.name}: no limits are known.`)]
}

function limitsOf({ name, sendsADay, imapConnections, pop3PollMs }: Provider, { protocol }: ReceiveUrl) {
  const limits = [
    sendsADay === undefined ? null : `sends ${sendsADay} mails a day at most`,
    imapConnections === undefined || protocol !== 'imap'
      ? null
      : `allows ${count(imapConnections, 'IMAP connection')}`,
    pop3PollMs === undefined || protocol !== 'pop3'
      ? null
      : `allows a POP3 login every ${seconds(pop3PollMs)}`,
  ].filter((limit) => limit !== null)
  return limits.length > 0 ? [`${name} ${limits.join(', and ')}.`] : []
}
