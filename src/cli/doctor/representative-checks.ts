// Checks a representative host and its workers (A14): whether they know each other, and whether they have sent letters.

import { equalBytes, toHex } from '../../base/bytes.ts'
import type { Crypto } from '../../base/crypto.ts'
import { sameAddress } from '../../base/mail-address.ts'
import { messageOf } from '../../base/problem.ts'
import type { HostConfig } from '../../config/config-schema.ts'
import type { Loaded } from '../../config/load-config.ts'
import { defaultHostSettings } from '../../host/settings.ts'
import type { InviteHost } from '../../letter/invite.ts'
import { type HostKeys, readHostKeys } from '../../setup/host-keys.ts'
import { knownHosts } from '../../setup/known-hosts.ts'
import { type HostStats, readHostStats } from '../../store/host-stats.ts'
import { count } from '../../wording/numbers-text.ts'
import { type DaemonStatus, findStatus } from '../control-client.ts'
import { type Finding, fault, faultOf, ok, warning } from './findings.ts'

/** Workers send a sign of life at this interval. Two may be lost or late. */
const silentMs = 2.5 * defaultHostSettings.signOfLifeMs
/** Hosts with equal tables write to each other less and less often, but at least this often. */
const silentPeerMs = 6 * 3_600_000

type Target = {
  readonly config: HostConfig
  readonly keys: HostKeys
  readonly hosts: readonly InviteHost[]
}

/** Returns nothing for a host that is neither. The secrets must exist. */
export async function checkRepresentation(
  crypto: Crypto,
  configFile: string,
  loaded: Loaded<HostConfig>,
  wallNow: number,
): Promise<readonly Finding[]> {
  const { config, path } = loaded
  if (config.role !== 'representative' && !config.represents) return []
  let target: Target
  try {
    const keys = readHostKeys(crypto, loaded)
    target = { config, keys, hosts: knownHosts(crypto, config, keys.identity.publicKey) }
  } catch (thrown) {
    return [faultOf('workers', thrown)]
  }
  const { represented } = target.keys
  const wrong = [...addressFaults(target), ...(represented ? workerFaults(target) : workersMissing(target))]
  if (wrong.some(({ outcome }) => outcome === 'fault')) return wrong
  try {
    const all = [...target.hosts, ...(represented ? [represented.representative] : [])]
    const sightings = readHostStats(
      path(config.table.path),
      all.map(({ identity }) => identity),
    )
    // Letters to a host that does not run wait in its mailbox. So a silence then means nothing.
    const status = await findStatus(configFile).catch(() => null)
    const seen = { sightings, isRunning: status !== null, wallNow }
    return [
      ...wrong,
      ...(represented ? representativeFindings(target, represented.representative, seen, status) : []),
      ...target.hosts.map((host) => hostFinding(host, represented !== null, seen)),
    ]
  } catch (thrown) {
    const text = `The database was not asked about the other hosts: ${messageOf(thrown)}.`
    return [...wrong, warning('workers', text, 'Run the doctor again as the user who runs the host.')]
  }
}

function addressFaults({ config, hosts }: Target): readonly Finding[] {
  const findings: Finding[] = []
  for (const [index, { address }] of hosts.entries()) {
    if (sameAddress(address, config.address)) {
      findings.push(
        fault(
          'workers',
          `The host ${address} in [[hosts]] has this host's own address: what is sent to it comes back here.`,
          'Give it a mailbox of its own, and replace its card with the new one.',
        ),
      )
    } else if (hosts.findIndex((other) => sameAddress(other.address, address)) < index) {
      findings.push(
        fault(
          'workers',
          `Two of the [[hosts]] have the address ${address}: each would remove the other's letters.`,
          'Remove the card of the host that no longer exists, or give each a mailbox of its own.',
        ),
      )
    }
  }
  if (config.standby.enabled) {
    findings.push(
      warning(
        'workers',
        '[standby] is switched on, which has no effect here.',
        'Switch it off: workers share the work, and replace each other by themselves.',
      ),
    )
  }
  return findings
}

function workersMissing({ hosts }: Target): readonly Finding[] {
  if (hosts.length > 0) return []
  return [
    fault(
      'workers',
      'This representative knows no worker, so all letters wait.',
      'Print the card of each worker (`peerpost host card --config FILE` there) and run `peerpost host peer add --config FILE CARD` here.',
    ),
  ]
}

function workerFaults({ config, keys, hosts }: Target): readonly Finding[] {
  const { represented, identity } = keys
  if (!represented) return []
  const { representative } = represented
  const shared = represented.identity.publicKey
  const makeAgain =
    'Make the worker again: `peerpost init host --join CARD`, with the card that `peerpost host card --room NAME` prints at another worker.'
  if (equalBytes(shared, identity.publicKey)) {
    return [fault('workers', 'The shared identity key is the key of this worker alone too.', makeAgain)]
  }
  if (equalBytes(shared, representative.identity)) {
    return [
      fault(
        'workers',
        `The shared identity key is that of the representative ${representative.address}, which then opens the letters itself.`,
        'Give the representative new keys, and its card to all workers: [represents] card.',
      ),
    ]
  }
  if (sameAddress(representative.address, config.address)) {
    return [
      fault(
        'workers',
        `The representative has this worker's own address, ${config.address}.`,
        'Give the worker a mailbox of its own.',
      ),
    ]
  }
  const isListed = hosts.some(({ identity }) => equalBytes(identity, representative.identity))
  if (isListed) {
    return [
      fault(
        'workers',
        `The representative ${representative.address} is among the [[hosts]], but has no table to exchange.`,
        'Remove its card from [[hosts]]; it belongs in [represents].',
      ),
    ]
  }
  if (hosts.length > 0) return []
  return [
    warning(
      'workers',
      'This worker knows no other one: its agents cannot meet those of other workers.',
      'If there are others, give it their cards: `peerpost host peer add --config FILE CARD`.',
    ),
  ]
}

type Seen = {
  readonly sightings: ReadonlyMap<string, HostStats> | null
  readonly isRunning: boolean
  readonly wallNow: number
}

function representativeFindings(
  { keys }: Target,
  { address, identity }: InviteHost,
  { sightings, wallNow }: Seen,
  status: DaemonStatus | null,
): readonly Finding[] {
  const letters = status?.role === 'host' ? status.letters : []
  const sumOf = (matches: (letter: (typeof letters)[number]) => boolean) =>
    letters.filter(matches).reduce((sum, letter) => sum + letter.count, 0)
  const unopened = sumOf(({ kind, reason }) => kind === 'unknown' && reason === 'wrong-key')
  const opened = sumOf(({ kind }) => kind === 'request')
  if (unopened > 0 && opened === 0) {
    return [
      fault(
        'workers',
        `None of the ${count(unopened, 'letter')} that came since the start could be opened: the shared keys are not those that agents know.`,
        'Copy shared-identity.key and shared-sealing.key of a worker that answers, or make this worker again from its card with the room (`peerpost init host --join CARD`).',
      ),
    ]
  }
  const heardAt = sightings?.get(toHex(identity))?.heardAt ?? null
  const rooms = count(keys.rooms.length, 'room')
  const last =
    heardAt === null ? 'has given it no letter lately' : `gave it a letter ${ago(wallNow - heardAt)}`
  return [ok('workers', `A worker for ${rooms} of the representative ${address}, which ${last}.`)]
}

/** `isWorker`: this host is a worker too. Otherwise it is the representative. */
function hostFinding({ address, identity }: InviteHost, isWorker: boolean, seen: Seen): Finding {
  const { sightings, isRunning, wallNow } = seen
  const sighting = sightings?.get(toHex(identity))
  const { heardAt = null, forwards = 0, strangers = 0 } = sighting ?? {}
  if (isWorker && strangers > 0) {
    return fault(
      'workers',
      `The worker ${address} reports ${count(strangers, 'agent')} with other keys than those that this worker shares.`,
      'Give all workers the same shared-identity.key and shared-sealing.key: make the wrong one again with `peerpost init host --join CARD`.',
    )
  }
  const waiting = forwards > 0 ? `; letters that it has not confirmed yet: ${forwards}` : ''
  const silence = heardAt === null ? null : wallNow - heardAt
  if (silence !== null && silence < (isWorker ? silentPeerMs : silentMs)) {
    return ok('workers', `The last letter of the worker ${address} came ${ago(silence)}${waiting}.`)
  }
  const words =
    silence === null
      ? `Nothing was heard of the worker ${address} in the last 12 hours${waiting}.`
      : `The last letter of the worker ${address} came ${ago(silence)}${waiting}.`
  if (!isRunning) {
    return warning(
      'workers',
      words,
      'Start this host, wait some minutes and check again: it reads letters only while it runs.',
    )
  }
  const remedy = isWorker
    ? `Run the doctor there, and check whether it knows this worker: \`peerpost host peer list\`.`
    : 'Run `peerpost doctor` there: does it run, is it a worker of this representative, and does its mail arrive?'
  return isWorker ? warning('workers', words, remedy) : fault('workers', words, remedy)
}

function ago(ms: number): string {
  const minutes = Math.floor(Math.max(0, ms) / 60_000)
  if (minutes < 1) return 'less than a minute ago'
  return minutes < 120 ? `${count(minutes, 'minute')} ago` : `${count(Math.floor(minutes / 60), 'hour')} ago`
}
