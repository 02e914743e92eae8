// Finds the mail provider of an address: its servers, and what a person must do before the login.

import { domainOf } from '../../base/mail-address.ts'
import type { ImapUrl, SmtpUrl } from '../mail-url.ts'
import { type Provider, type ProviderServer, providers } from './provider-data.ts'

export type { Provider, ProviderLogin, ProviderOAuth } from './provider-data.ts'

const byDomain = new Map(
  providers.flatMap((provider) => provider.domains.map((domain) => [domain, provider])),
)

/** Looks only at the domain. Null for an unknown domain, such as a private one. */
export function providerOf(address: string): Provider | null {
  return byDomain.get(domainOf(address).toLowerCase()) ?? null
}

/** The provider of a server. The address may have a private domain that is hosted there. */
export function providerOfServer(host: string): Provider | null {
  const name = host.toLowerCase()
  const runs = ({ imap, pop3, smtp }: Provider) => [imap, pop3, smtp].some((server) => server?.host === name)
  // Proton Mail Bridge is on loopback, like many other servers.
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

/** One line that a person must read before typing a password; null if there is nothing to say. */
export function loginAdvice({ name, login }: Provider): string | null {
  const note = login.kind === 'oauth' || login.note === undefined ? '' : ` ${login.note}`
  switch (login.kind) {
    case 'password':
      return note === '' ? null : `${name}:${note}`
    case 'app-password':
      return `${name} demands a password for mail programs, not the one of its web page: ${login.link}.${note}`
    case 'oauth':
      return `${name} takes no passwords from mail programs. A login in the browser is needed instead (OAuth 2.0).`
  }
}
