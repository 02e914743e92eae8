// The mail provider of an address: where its mail is read and sent, and what a person has to do to be let in.

import { domainOf } from '../../base/mail-address.ts'
import type { ImapUrl, SmtpUrl } from '../mail-url.ts'
import { type Provider, type ProviderServer, providers } from './provider-data.ts'

export type { Provider, ProviderLogin, ProviderOAuth } from './provider-data.ts'

const byDomain = new Map(
  providers.flatMap((provider) => provider.domains.map((domain) => [domain, provider])),
)

/** By the domain alone; null for one that is not known, such as one's own. */
export function providerOf(address: string): Provider | null {
  return byDomain.get(domainOf(address).toLowerCase()) ?? null
}

/** The provider that runs a server, whatever the address: one's own domain may be at Gmail. */
export function providerOfServer(host: string): Provider | null {
  const name = host.toLowerCase()
  const runs = ({ imap, pop3, smtp }: Provider) => [imap, pop3, smtp].some((server) => server?.host === name)
  // The bridge is on loopback, as are many other servers.
  return providers.find((provider) => runs(provider) && !name.startsWith('127.')) ?? null
}

/** The mail URLs of an address at its provider, without a password. */
export function providerUrls(
  provider: Provider,
  address: string,
): { readonly receive: ImapUrl; readonly send: SmtpUrl } {
  return {
    receive: { protocol: 'imap', ...at(provider.imap, address), folder: 'INBOX' },
    send: { protocol: 'smtp', ...at(provider.smtp, address) },
  }
}

function at({ user, ...server }: ProviderServer, address: string) {
  const name = user === 'whole' ? address : address.slice(0, address.lastIndexOf('@'))
  return { ...server, user: name, password: null }
}

/** What a person has to know before typing a password, on one line; null when there is nothing to know. */
export function loginAdvice({ name, login }: Provider): string | null {
  const note = login.kind === 'oauth' || login.note === undefined ? '' : ` ${login.note}`
  switch (login.kind) {
    case 'password':
      return note === '' ? null : `${name}:${note}`
    case 'app-password':
      return `${name} wants a password made for mail programs, not the one of its web page: ${login.link}.${note}`
    case 'oauth':
      return `${name} takes no passwords from mail programs; a login in the browser is needed instead (OAuth 2.0).`
  }
}
