// Whether the mail server at our border has found that a mail comes from where its From says (RFC 8601), for hosts whose
// config names that server. What is relied on is written in docs/host-limits.md.

import { domainOf } from '../../base/mail-address.ts'
import { type AuthenticationResults, readAuthenticationResults } from './authentication-results.ts'
import type { HeaderField } from './parse-mail.ts'

/** Fields of this name that are looked at, from the top: all that are above any a sender can have written. */
const mostFields = 16

/** What is found of the border server's field: that it `passes`, that it does not, or that there is `none`. */
export type SenderCheck = 'passes' | 'fails' | 'none'

/** `from` is the mail's only From address, `authservId` the border server's name. */
export function checkSender(fields: readonly HeaderField[], authservId: string, from: string): SenderCheck {
  const found = borderResults(fields, authservId.toLowerCase())
  if (!found) return 'none'
  const domain = lowerDomain(from)
  return found.results.some(({ method, result, properties }) => {
    if (result !== 'pass') return false
    const value = (name: string) => properties.get(name)
    switch (method) {
      case 'dmarc':
        // It is about the From domain by what it is; where it names one, that must be ours.
        return value('header.from') === undefined || lowerDomain(value('header.from') ?? '') === domain
      case 'dkim':
        return speaksFor(value('header.d') ?? value('header.i'), domain)
      case 'spf':
        return speaksFor(value('smtp.mailfrom'), domain)
      default:
        return false
    }
  })
    ? 'passes'
    : 'fails'
}

/** The topmost field of the border server, above every server that is not its neighbour: what is beneath, anybody may
 *  have written. Null as well when the topmost cannot be read. */
function borderResults(fields: readonly HeaderField[], authservId: string): AuthenticationResults | null {
  let looked = 0
  for (const { name, value } of fields) {
    if (name === 'received' && isElsewhere(value, authservId)) return null
    if (name !== 'authentication-results') continue
    if (++looked > mostFields) return null
    const read = readAuthenticationResults(value)
    if (read?.authservId === authservId) return read
    // One that names the server and cannot be read: what follows it is not believed in its place.
    if (!read && value.toLowerCase().includes(authservId)) return null
  }
  return null
}

/** Whether another organisation's server wrote this Received field (RFC 5321 §4.4). Servers inside a provider often have
 *  no name, or an address. */
function isElsewhere(received: string, authservId: string): boolean {
  const [, by] = /(?:^|\s)by\s+([^\s;()]+)/i.exec(withoutComments(received)) ?? []
  const name = (by ?? '').toLowerCase().replace(/\.$/, '')
  if (!/^[a-z0-9.-]+\.[a-z][a-z0-9-]*$/.test(name)) return false
  const home = authservId.split('.').length > 2 ? authservId.slice(authservId.indexOf('.') + 1) : authservId
  return !isWithin(name, home)
}

function withoutComments(text: string): string {
  // From the inside out; each round takes one level.
  let before = text.slice(0, 2_000)
  for (let level = 0; level < 4; level++) before = before.replace(/\([^()]*\)/g, ' ')
  return before
}

/** Whether who controls `signer` (an address or a domain) controls `domain`: it is the same, or above it. Not the other
 *  way round, which needs a list of the domains under which strangers have theirs. */
function speaksFor(signer: string | undefined, domain: string): boolean {
  const above = lowerDomain(signer ?? '')
  return above.includes('.') && isWithin(domain, above)
}

function isWithin(name: string, domain: string): boolean {
  return name === domain || name.endsWith(`.${domain}`)
}

function lowerDomain(address: string): string {
  return domainOf(address).toLowerCase()
}
