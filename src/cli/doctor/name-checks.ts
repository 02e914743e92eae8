// Checks that the needed names have addresses, and that our mail domain has MX and SPF records.

import { lookup, Resolver } from 'node:dns/promises'
import { isIP } from 'node:net'
import { domainOf } from '../../base/mail-address.ts'
import { messageOf } from '../../base/problem.ts'
import { isLoopbackHost } from '../../mail/mail-url.ts'
import { providerOf } from '../../mail/providers/provider-lookup.ts'
import { withinMs } from '../probe-nat.ts'
import { type Finding, fault, ok, warning } from './findings.ts'

const limitMs = 5_000

export type Names = {
  readonly address: string
  /** Names of the mail servers and of the STUN servers. IP addresses among them are skipped. */
  readonly mail: readonly string[]
  readonly stun: readonly string[]
}

export async function checkNames({ address, mail, stun }: Names): Promise<readonly Finding[]> {
  const isName = (host: string) => isIP(host) === 0 && !isLoopbackHost(host)
  const names = [...new Set([...mail, ...stun].filter(isName))]
  const isOutside = mail.some((host) => !isLoopbackHost(host))
  const [failures, domain] = await Promise.all([
    Promise.all(names.map(failureOf)),
    isOutside && !providerOf(address) ? checkDomain(domainOf(address)) : [],
  ])
  const findings = failures.flatMap((failure, index) => {
    if (failure === null) return []
    const name = names[index] ?? ''
    const text = `There is no address for the name ${name}: ${failure}.`
    const remedy = 'Check how it is written and that this computer has a working DNS.'
    return [mail.includes(name) ? fault('names', text, remedy) : warning('names', text, remedy)]
  })
  if (findings.length === 0 && names.length > 0) findings.push(ok('names', `${names.join(', ')}: found.`))
  return [...findings, ...domain]
}

async function failureOf(name: string): Promise<string | null> {
  const found = await withinMs(
    lookup(name).then(
      () => ({ failure: null }),
      (thrown: NodeJS.ErrnoException) => ({ failure: thrown.code ?? messageOf(thrown) }),
    ),
    limitMs,
  )
  return found ? found.failure : `no answer within ${limitMs / 1000} s`
}

/** Warns only when a DNS server says that there is no record. A missing answer proves nothing. */
async function checkDomain(domain: string): Promise<readonly Finding[]> {
  const resolver = new Resolver({ timeout: 2_000, tries: 1 })
  const isMissing = (thrown: NodeJS.ErrnoException) =>
    thrown.code === 'ENODATA' || thrown.code === 'ENOTFOUND'
  const findings: Finding[] = []
  const [lacksServer, lacksSpf] = await Promise.all([
    resolver.resolveMx(domain).then(() => false, isMissing),
    resolver
      .resolveTxt(domain)
      .then((records) => !records.some((chunks) => chunks.join('').startsWith('v=spf1')), isMissing),
  ])
  if (lacksServer) {
    findings.push(
      warning(
        'names',
        `The domain ${domain} names no mail server (MX): letters from elsewhere may not arrive.`,
        'Add an MX record for it.',
      ),
    )
  } else if (lacksSpf) {
    findings.push(
      warning(
        'names',
        `The domain ${domain} does not say who may send its mail (SPF): letters may be taken for spam.`,
        'Add a TXT record, as your provider describes.',
      ),
    )
  }
  return findings
}
