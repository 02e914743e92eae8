// Adds to mailparser: whether our receiving mail server confirmed the From address of a mail (RFC 8601).
// It confirms by DMARC, DKIM or SPF. Used only if the config names that server. docs/host-limits.md says what this relies
// on.

import { domainOf } from '../../base/mail-address.ts'
import { type AuthenticationResults, readAuthenticationResults } from './authentication-results.ts'
import type { HeaderField } from './parse-mail.ts'

/** Fields of this name that are read, from the top. */
const mostFields = 16

/** `none`: there is no trusted field of the receiving server. */
export type SenderCheck = 'passes' | 'fails' | 'none'

/** `from`: the mail's only From address. `authservId`: the name of the receiving server. */
export function checkSender(fields: readonly HeaderField[], authservId: string, from: string): SenderCheck {
  const found = trustedResults(fields, authservId.toLowerCase())
  if (!found) return 'none'
  const domain = lowerDomain(from)
  return found.results.some(({ method, result, properties }) => {
    if (result !== 'pass') return false
    const value = (name: string) => properties.get(name)
    switch (method) {
      case 'dmarc':
        // DMARC is always about the From domain. If the result names a domain, it must be the same.
        return value('header.from') === undefined || lowerDomain(value('header.from') ?? '') === domain
      case 'dkim':
        return controls(value('header.d') ?? value('header.i'), domain)
      case 'spf':
        return controls(value('smtp.mailfrom'), domain)
      default:
        return false
    }
  })
    ? 'passes'
    : 'fails'
}

/** The topmost field of the receiving server. It must be above the Received fields of servers of other
 *  organisations, because a sender can forge everything below those. Null also if the topmost field cannot be
 *  read. */
function trustedResults(fields: readonly HeaderField[], authservId: string): AuthenticationResults | null {
  let count = 0
  for (const { name, value } of fields) {
    if (name === 'received' && isElsewhere(value, authservId)) return null
    if (name !== 'authentication-results') continue
    if (++count > mostFields) return null
    const read = readAuthenticationResults(value)
    if (read?.authservId === authservId) return read
    // The field has the name of the server but cannot be read. A field below it must not replace it.
    if (!read && value.toLowerCase().includes(authservId)) return null
  }
  return null
}

/** Whether a server of another organisation wrote this Received field (RFC 5321 §4.4). Servers inside a provider
 *  often have no name, or an IP address. */
function isElsewhere(received: string, authservId: string): boolean {
  const [, by] = /(?:^|\s)by\s+([^\s;()]+)/i.exec(withoutComments(received)) ?? []
  const name = (by ?? '').toLowerCase().replace(/\.$/, '')
  if (!/^[a-z0-9.-]+\.[a-z][a-z0-9-]*$/.test(name)) return false
  const home = authservId.split('.').length > 2 ? authservId.slice(authservId.indexOf('.') + 1) : authservId
  return !isWithin(name, home)
}

function withoutComments(text: string): string {
  // Each round removes the innermost level of comments.
  let rest = text.slice(0, 2_000)
  for (let level = 0; level < 4; level++) rest = rest.replace(/\([^()]*\)/g, ' ')
  return rest
}

/** Whether `signer`, an address or a domain, is the same domain or a parent of it. A subdomain does not count:
 *  that would need the list of public suffixes. */
function controls(signer: string | undefined, domain: string): boolean {
  const parent = lowerDomain(signer ?? '')
  return parent.includes('.') && isWithin(domain, parent)
}

function isWithin(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`)
}

function lowerDomain(address: string): string {
  return domainOf(address).toLowerCase()
}
