// Tests declare the external programs they need. Then their file runs only in `npm run test:all`, which
// installs all programs. When such a file runs alone and a program is missing, its tests are skipped.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { delimiter, join } from 'node:path'

/** Debian has each version of PostgreSQL in its own folder. */
const postgres = '/usr/lib/postgresql'
const versions = existsSync(postgres) ? readdirSync(postgres).sort((a, b) => Number(b) - Number(a)) : []
const postgresFolders = versions.map((version) => join(postgres, version, 'bin'))

const folders = [
  ...postgresFolders,
  ...(process.env.PATH ?? '').split(delimiter),
  ...['/usr/sbin', '/sbin', '/usr/games'],
]

export function findProgram(name: string): string | undefined {
  for (const folder of folders) {
    const file = join(folder, name)
    if (folder !== '' && existsSync(file)) return file
  }
  return undefined
}

let namespacesWork: boolean | undefined

/** Whether this process may create network namespaces (root with CAP_SYS_ADMIN). */
function canMakeNamespaces(): boolean {
  namespacesWork ??= spawnSync('unshare', ['--net', 'true']).status === 0
  return namespacesWork
}

let registryAnswers: boolean | undefined

/** Whether npm can fetch packages from its configured registry. */
function canFetchPackages(): boolean {
  registryAnswers ??= spawnSync('npm', ['view', 'npm', 'version'], { timeout: 30_000 }).status === 0
  return registryAnswers
}

export type Part =
  | 'postfix'
  | 'dovecot'
  | 'dovecot-sieve'
  | 'turnserver'
  | 'turnutils_natdiscovery'
  | 'turnutils_stunclient'
  | 'nft'
  | 'miniupnpd'
  | 'iperf3'
  | 'teeworlds-server'
  | 'chromium'
  | 'postgresql'
  | 'systemd-notify'
  | 'systemd-analyze'
  | 'network namespaces'
  | 'npm registry'

/** Like `lacks`, for a program without a Debian package: `test:all` cannot install it. */
export function lacksUnpackaged(program: 'mailpit'): string | false {
  return (
    findProgram(program) === undefined &&
    `there is no ${program} on the PATH, and Debian has no package of it`
  )
}

/** Abilities that are no programs. */
const abilities: Readonly<Record<string, () => boolean>> = {
  'network namespaces': canMakeNamespaces,
  'npm registry': canFetchPackages,
}

/** Programs whose name differs from the part's. */
const programs: Readonly<Record<string, string>> = { 'dovecot-sieve': 'sievec', postgresql: 'initdb' }

/**
 * For `test(name, { skip: lacks('postfix', 'dovecot') }, …)`: false, or a sentence that names the missing
 * parts.
 */
export function lacks(...parts: readonly Part[]): string | false {
  const isHere = (part: Part) => abilities[part]?.() ?? findProgram(programs[part] ?? part) !== undefined
  const missing = parts.filter((part) => !isHere(part))
  if (missing.length === 0) return false
  const sentence = `this machine has no ${missing.join(', no ')}; \`npm run test:all\` installs what it needs`
  if (process.env.TEST_ALL_PARTS) throw new Error(sentence)
  return sentence
}
