// The whole examination, in an order in which the first fault is most likely the cause of the others.

import { resolve } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { type LoadedConfig, loadConfig } from '../../config/load-config.ts'
import { defaultHostSettings } from '../../host/settings.ts'
import type { Invite } from '../../letter/invite.ts'
import { databasePlace } from '../../setup/database-location.ts'
import { readMailUrls } from '../../setup/open-mail.ts'
import { examineConfig, examineInvite, examineSecrets } from './config-checks.ts'
import { examineDaemon } from './daemon-check.ts'
import { examineDatabase, examineDisk } from './disk-checks.ts'
import { faultOf, type Notebook, warning } from './findings.ts'
import { examineMail } from './mail-checks.ts'
import { examineNames } from './name-checks.ts'
import { examineNetwork } from './network-checks.ts'
import { examineProvider } from './provider-check.ts'
import { examineRepresentation } from './representative-checks.ts'

export type Examination = {
  readonly configFile: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly clock: Clock
  readonly crypto: Crypto
  /** How long a letter to ourselves may take. */
  readonly letterMs: number
  /** Ends it early. */
  readonly stopped: Promise<unknown>
}

export async function examine(examination: Examination, notebook: Notebook): Promise<void> {
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
  const secrets = examineSecrets(configFile, loaded)
  examineConfig(configFile, loaded).forEach(tell)
  secrets.forEach(tell)
  // Without its secrets nothing more can be said of it.
  const areSecretsThere = secrets.every(({ outcome }) => outcome !== 'fault')
  const { findings, invite } = areSecretsThere
    ? examineInvite(crypto, loaded)
    : { findings: [], invite: null }
  findings.forEach(tell)
  progress('asking the daemon, if one runs')
  tell(await examineDaemon(configFile))
  if (loaded.role === 'host') {
    progress('reading the database')
    const { table } = loaded.config
    if (areSecretsThere) tell(examineDatabase(databasePlace(loaded)))
    tell(examineDisk(table.url === undefined ? loaded.path(table.path) : resolve(configFile)))
    if (areSecretsThere) {
      progress('looking at representative and workers')
      const wallNow = examination.clock.wallNow()
      for (const finding of await examineRepresentation(crypto, configFile, loaded, wallNow)) tell(finding)
    }
  } else {
    tell(examineDisk(resolve(configFile)))
  }
  const servers = stunServers(loaded, invite)
  const network = needsServers(loaded) ? examineNetwork({ crypto, servers, role: loaded.role }) : null
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
  { clock, crypto, letterMs, stopped }: Examination,
  { role, config, path }: LoadedConfig,
  servers: readonly string[],
  notebook: Notebook,
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
  const stun = servers.map((server) => server.replace(/:\d+$/, ''))
  for (const finding of await examineNames({ address: config.address, mail, stun })) tell(finding)
  examineProvider(config.address, receive).forEach(tell)
  // What hosts forgive; an agent does not know its host's settings, and takes what hosts have by default.
  const tolerance =
    role === 'host'
      ? { aheadMs: config.letters.future_tolerance, behindMs: config.letters.freshness }
      : { aheadMs: defaultHostSettings.futureToleranceMs, behindMs: defaultHostSettings.freshnessMs }
  const trustedAuthservId = role === 'host' ? config.admission.trusted_authserv_id || null : null
  const patient = { clock, crypto, address: config.address, receive, send, tokens, tolerance, letterMs }
  await examineMail({ ...patient, trustedAuthservId, stopped }, notebook)
}
