// The whole examination, in an order in which the first fault is most likely the cause of the others.

import { resolve } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { type LoadedConfig, loadConfig } from '../../config/load-config.ts'
import { defaultHostSettings } from '../../host/settings.ts'
import type { Invite } from '../../letter/invite.ts'
import { readServer } from '../../net/resolve-stun-servers.ts'
import { databasePlace } from '../../setup/database-location.ts'
import { readMailUrls } from '../../setup/open-mail.ts'
import { checkConfig, checkInvite, checkSecrets } from './config-checks.ts'
import { checkDaemon } from './daemon-check.ts'
import { checkDatabase, checkDisk } from './disk-checks.ts'
import { type FindingsList, faultOf, warning } from './findings.ts'
import { checkMail } from './mail-checks.ts'
import { checkNames } from './name-checks.ts'
import { checkNetwork } from './network-checks.ts'
import { checkProvider } from './provider-check.ts'
import { checkRepresentation } from './representative-checks.ts'

export type AllChecks = {
  readonly configFile: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly crypto: Crypto
  /** How long a letter to ourselves may take. */
  readonly letterMs: number
  /** Ends it early. */
  readonly stopped: Promise<unknown>
}

export async function runAllChecks(examination: AllChecks, notebook: FindingsList): Promise<void> {
  const { configFile, environment, crypto } = examination
  const { tell, progress } = notebook
  progress('reading the config')
  let loaded: LoadedConfig
  try {
    loaded = loadConfig(configFile, environment)
  } catch (thrown) {
    tell(faultOf('config', thrown))
    return
  }
  const secrets = checkSecrets(configFile, loaded)
  checkConfig(configFile, loaded).forEach(tell)
  secrets.forEach(tell)
  // Without its secrets nothing more can be said of it.
  const areSecretsThere = secrets.every(({ outcome }) => outcome !== 'fault')
  const { findings, invite } = areSecretsThere ? checkInvite(crypto, loaded) : { findings: [], invite: null }
  findings.forEach(tell)
  progress('asking the daemon, if one runs')
  tell(await checkDaemon(configFile))
  if (loaded.role === 'host') {
    progress('reading the database')
    const { table } = loaded.config
    if (areSecretsThere) tell(checkDatabase(databasePlace(loaded)))
    tell(checkDisk(table.url === undefined ? loaded.path(table.path) : resolve(configFile)))
    if (areSecretsThere) {
      progress('looking at representative and workers')
      const wallNow = examination.clock.wallNow()
      for (const finding of await checkRepresentation(crypto, configFile, loaded, wallNow)) tell(finding)
    }
  } else {
    tell(checkDisk(resolve(configFile)))
  }
  const servers = stunServers(loaded, invite)
  const network = needsServers(loaded) ? checkNetwork({ crypto, servers, role: loaded.role }) : null
  if (areSecretsThere) await examinePost(examination, loaded, servers, notebook)
  else tell(warning('receive', 'The mail servers were not tried.', 'Mend the secrets first.'))
  if (!network) return
  progress('asking STUN servers')
  for (const finding of await network) tell(finding)
}

/** A representative host makes no invites to name them in. */
function needsServers({ role, config }: LoadedConfig): boolean {
  return role === 'agent' || config.role === 'host'
}

function stunServers(loaded: LoadedConfig, invite: Invite | null): readonly string[] {
  const { servers } = loaded.config.stun
  if (!needsServers(loaded)) return []
  if (servers.length > 0 || loaded.role === 'host') return servers
  return invite?.stunServers ?? []
}

async function examinePost(
  { clock, crypto, letterMs, stopped }: AllChecks,
  { role, config, path }: LoadedConfig,
  servers: readonly string[],
  notebook: FindingsList,
): Promise<void> {
  const { tell, progress } = notebook
  let urls: ReturnType<typeof readMailUrls>
  try {
    urls = readMailUrls(config.mail, path)
  } catch {
    // The config was found wrong already.
    return
  }
  const { receive, send, tokens } = urls
  progress('looking up names')
  const mail = [...(receive.protocol === 'maildir' ? [] : [receive.host]), send.host]
  const stun = servers.flatMap((server) => readServer(server)?.host ?? [])
  for (const finding of await checkNames({ address: config.address, mail, stun })) tell(finding)
  checkProvider(config.address, receive).forEach(tell)
  // What hosts forgive; an agent does not know its host's settings, and takes what hosts have by default.
  const tolerance =
    role === 'host'
      ? { aheadMs: config.letters.future_tolerance, behindMs: config.letters.freshness }
      : { aheadMs: defaultHostSettings.futureToleranceMs, behindMs: defaultHostSettings.freshnessMs }
  const trustedAuthservId = role === 'host' ? config.admission.trusted_authserv_id || null : null
  const patient = { clock, crypto, address: config.address, receive, send, tokens, tolerance, letterMs }
  await checkMail({ ...patient, trustedAuthservId, stopped }, notebook)
}
