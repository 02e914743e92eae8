// Runs all checks. The order is such that the first fault is most likely the cause of the others.

import { resolve } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { type LoadedConfig, loadConfig } from '../../config/load-config.ts'
import { defaultHostSettings } from '../../host/settings.ts'
import type { Invite } from '../../letter/invite.ts'
import { parseServer } from '../../net/resolve-stun-servers.ts'
import { databasePlace } from '../../setup/database-location.ts'
import { readMailUrls } from '../../setup/open-mail.ts'
import { checkConfig, checkInvite, checkSecrets } from './config-checks.ts'
import { checkDaemon } from './daemon-check.ts'
import { checkDatabase, checkDisk } from './disk-checks.ts'
import { type FindingsPrinter, faultOf, warning } from './findings.ts'
import { checkMail } from './mail-checks.ts'
import { checkNames } from './name-checks.ts'
import { checkNetwork } from './network-checks.ts'
import { checkProvider } from './provider-check.ts'
import { checkRepresentation } from './representative-checks.ts'

export type AllChecksOptions = {
  readonly configFile: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly crypto: Crypto
  /** How long the test letter may take. */
  readonly letterMs: number
  /** Ends the waiting for the test letter early. */
  readonly stopped: Promise<unknown>
}

export async function runAllChecks(options: AllChecksOptions, printer: FindingsPrinter): Promise<void> {
  const { configFile, environment, crypto } = options
  const { print, progress } = printer
  progress('reading the config')
  let loaded: LoadedConfig
  try {
    loaded = loadConfig(configFile, environment)
  } catch (thrown) {
    print(faultOf('config', thrown))
    return
  }
  const secrets = checkSecrets(configFile, loaded)
  checkConfig(configFile, loaded).forEach(print)
  secrets.forEach(print)
  // The checks of invites, mail and database need the secrets.
  const areSecretsThere = secrets.every(({ outcome }) => outcome !== 'fault')
  const { findings, invite } = areSecretsThere ? checkInvite(crypto, loaded) : { findings: [], invite: null }
  findings.forEach(print)
  progress('asking the daemon, if one runs')
  print(await checkDaemon(configFile))
  if (loaded.role === 'host') {
    progress('reading the database')
    const { table } = loaded.config
    if (areSecretsThere) print(checkDatabase(databasePlace(loaded)))
    print(checkDisk(table.url === undefined ? loaded.path(table.path) : resolve(configFile)))
    if (areSecretsThere) {
      progress('looking at representative and workers')
      const wallNow = options.clock.wallNow()
      for (const finding of await checkRepresentation(crypto, configFile, loaded, wallNow)) print(finding)
    }
  } else {
    print(checkDisk(resolve(configFile)))
  }
  const servers = stunServers(loaded, invite)
  const network = needsServers(loaded) ? checkNetwork({ crypto, servers, role: loaded.role }) : null
  if (areSecretsThere) await checkMailAndNames(options, loaded, servers, printer)
  else print(warning('receive', 'The mail servers were not tried.', 'Correct the secrets first.'))
  if (!network) return
  progress('asking STUN servers')
  for (const finding of await network) print(finding)
}

/** A representative host makes no invites, so it names no STUN servers. */
function needsServers({ role, config }: LoadedConfig): boolean {
  return role === 'agent' || config.role === 'host'
}

function stunServers(loaded: LoadedConfig, invite: Invite | null): readonly string[] {
  const { servers } = loaded.config.stun
  if (!needsServers(loaded)) return []
  if (servers.length > 0 || loaded.role === 'host') return servers
  return invite?.stunServers ?? []
}

async function checkMailAndNames(
  { clock, crypto, letterMs, stopped }: AllChecksOptions,
  { role, config, path }: LoadedConfig,
  servers: readonly string[],
  printer: FindingsPrinter,
): Promise<void> {
  const { print, progress } = printer
  let urls: ReturnType<typeof readMailUrls>
  try {
    urls = readMailUrls(config.mail, path)
  } catch {
    // The check of the config has reported it already.
    return
  }
  const { receive, send, tokens } = urls
  progress('looking up names')
  const mail = [...(receive.protocol === 'maildir' ? [] : [receive.host]), send.host]
  const stun = servers.flatMap((server) => parseServer(server)?.host ?? [])
  for (const finding of await checkNames({ address: config.address, mail, stun })) print(finding)
  checkProvider(config.address, receive).forEach(print)
  // An agent does not know the settings of its host, so the defaults are used.
  const tolerance =
    role === 'host'
      ? { aheadMs: config.letters.future_tolerance, behindMs: config.letters.freshness }
      : { aheadMs: defaultHostSettings.futureToleranceMs, behindMs: defaultHostSettings.freshnessMs }
  const trustedAuthservId = role === 'host' ? config.admission.trusted_authserv_id || null : null
  const target = { clock, crypto, address: config.address, receive, send, tokens, tolerance, letterMs }
  await checkMail({ ...target, trustedAuthservId, stopped }, printer)
}
