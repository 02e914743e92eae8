// A representative host and its workers (A14): whether each knows the others as it must, and who was heard of.

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

/** Workers show themselves this often; twice, for letters that are lost or late. */
const silentMs = 2.5 * defaultHostSettings.signOfLifeMs
/** Equal tables are compared less and less often, but not less than this. */
const silentNeighbourMs = 6 * 3_600_000

type Patient = {
  readonly config: HostConfig
  readonly keys: HostKeys
  readonly hosts: readonly InviteHost[]
}

/** Nothing for a host that is neither. Its secrets are there. */
export async function checkRepresentation(
  crypto: Crypto,
  configFile: string,
  loaded: Loaded<HostConfig>,
  wallNow: number,
): Promise<readonly Finding[]> {
  const { config, path } = loaded
  if (config.role !== 'representative' && !config.represents) return []
  let patient: Patient
  try {
    const keys = readHostKeys(crypto, loaded)
    patient = { config, keys, hosts: knownHosts(crypto, config, keys.identity.publicKey) }
  } catch (thrown) {
    return [faultOf('workers', thrown)]
  }
  const { represented } = patient.keys
  const wrong = [
    ...addressFaults(patient),
    ...(represented ? workerFaults(patient) : workersMissing(patient)),
  ]
  if (wrong.some(({ outcome }) => outcome === 'fault')) return wrong
  try {
    const all = [...patient.hosts, ...(represented ? [represented.representative] : [])]
    const sightings = readHostStats(
      path(config.table.path),
      all.map(({ identity }) => identity),
    )
    // What is told to a host that does not run lies in its mailbox.
    const status = await findStatus(configFile).catch(() => null)
    const seen = { sightings, isRunning: status !== null, wallNow }
    return [
      ...wrong,
      ...(represented ? representativeFindings(patient, represented.representative, seen, status) : []),
      ...patient.hosts.map((host) => hostFinding(host, represented !== null, seen)),
    ]
  } catch (thrown) {
    const text = `The database was not asked about the other hosts: ${messageOf(thrown)}.`
    return [...wrong, warning('workers', text, 'Run the doctor again as the user who runs the host.')]
  }
}

function addressFaults({ config, hosts }: Patient): readonly Finding[] {
  const findings: Finding[] = []
  for (const [index, { address }] of hosts.entries()) {
    if (sameAddress(address, config.address)) {
      findings.push(
        fault(
          'workers',
          `The host ${address} in [[hosts]] has this host's own address: what is sent to it comes back here.`,
          'Give it a mailbox of its own, and put its new card in the place of the old one.',
        ),
      )
    } else if (hosts.findIndex((other) => sameAddress(other.address, address)) < index) {
      findings.push(
        fault(
          'workers',
          `Two of the [[hosts]] have the address ${address}: each would take the other's letters.`,
          'Take out the card of the one that is no more, or give each a mailbox of its own.',
        ),
      )
    }
  }
  if (config.standby.enabled) {
    findings.push(
      warning(
        'workers',
        '[standby] is switched on, which has no effect here.',
        'Switch it off: workers share the work, and take over from each other by themselves.',
      ),
    )
  }
  return findings
}

function workersMissing({ hosts }: Patient): readonly Finding[] {
  if (hosts.length > 0) return []
  return [
    fault(
      'workers',
      'This representative knows no worker, so all letters wait.',
      'Print the card of each worker (`peerpost host card --config FILE` there) and run `peerpost host peer add --config FILE CARD` here.',
    ),
  ]
}

function workerFaults({ config, keys, hosts }: Patient): readonly Finding[] {
  const { represented, identity } = keys
  if (!represented) return []
  const { representative } = represented
  const shared = represented.identity.publicKey
  const anew =
    'Make the worker anew: `peerpost init host --join CARD`, with the card that `peerpost host card --room NAME` prints at another worker.'
  if (equalBytes(shared, identity.publicKey)) {
    return [fault('workers', 'The shared identity key is the key of this worker alone as well.', anew)]
  }
  if (equalBytes(shared, representative.identity)) {
    return [
      fault(
        'workers',
        `The shared identity key is the one of the representative ${representative.address}, which then opens the letters itself.`,
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
  const isNeighbour = hosts.some(({ identity }) => equalBytes(identity, representative.identity))
  if (isNeighbour) {
    return [
      fault(
        'workers',
        `The representative ${representative.address} is among the [[hosts]], but has no table to exchange.`,
        'Take its card out of [[hosts]]; it stands in [represents].',
      ),
    ]
  }
  if (hosts.length > 0) return []
  return [
    warning(
      'workers',
      'This worker knows no other one: its agents do not meet those of other workers.',
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
  { keys }: Patient,
  { address, identity }: InviteHost,
  { sightings, wallNow }: Seen,
  status: DaemonStatus | null,
): readonly Finding[] {
  const letters = status?.role === 'host' ? status.letters : []
  const of = (fits: (letter: (typeof letters)[number]) => boolean) =>
    letters.filter(fits).reduce((sum, letter) => sum + letter.count, 0)
  const unopened = of(({ kind, reason }) => kind === 'unknown' && reason === 'wrong-key')
  const opened = of(({ kind }) => kind === 'request')
  if (unopened > 0 && opened === 0) {
    return [
      fault(
        'workers',
        `None of the ${count(unopened, 'letter')} that came since the start could be opened: the shared keys are not those that agents know.`,
        'Take shared-identity.key and shared-sealing.key of a worker that answers, or make this one anew by its card with the room (`peerpost init host --join CARD`).',
      ),
    ]
  }
  const heardAt = sightings?.get(toHex(identity))?.heardAt ?? null
  const rooms = count(keys.rooms.length, 'room')
  const last =
    heardAt === null ? 'has given it no letter lately' : `gave it a letter ${ago(wallNow - heardAt)}`
  return [ok('workers', `A worker for ${rooms} of the representative ${address}, which ${last}.`)]
}

/** `isFellow`: one worker of another; else of a worker at its representative. */
function hostFinding({ address, identity }: InviteHost, isFellow: boolean, seen: Seen): Finding {
  const { sightings, isRunning, wallNow } = seen
  const sighting = sightings?.get(toHex(identity))
  const { heardAt = null, forwards = 0, strangers = 0 } = sighting ?? {}
  if (isFellow && strangers > 0) {
    return fault(
      'workers',
      `The worker ${address} tells of ${count(strangers, 'agent')} that wrote to other keys than those this one shares.`,
      'Give all workers the same shared-identity.key and shared-sealing.key: make the odd one anew by `peerpost init host --join CARD`.',
    )
  }
  const waits = forwards > 0 ? `; letters that it has not taken yet: ${forwards}` : ''
  const silence = heardAt === null ? null : wallNow - heardAt
  if (silence !== null && silence < (isFellow ? silentNeighbourMs : silentMs)) {
    return ok('workers', `The worker ${address} was heard of ${ago(silence)}${waits}.`)
  }
  const words =
    silence === null
      ? `Nothing was heard of the worker ${address} in the last 12 hours${waits}.`
      : `The worker ${address} was last heard of ${ago(silence)}${waits}.`
  if (!isRunning) {
    return warning('workers', words, 'Start this host, wait some minutes and look again: only then it hears.')
  }
  const remedy = isFellow
    ? `Run the doctor there, and look whether it knows this worker: \`peerpost host peer list\`.`
    : 'Run `peerpost doctor` there: does it run, is it a worker of this representative, and does its mail arrive?'
  return isFellow ? warning('workers', words, remedy) : fault('workers', words, remedy)
}

function ago(ms: number): string {
  const minutes = Math.floor(Math.max(0, ms) / 60_000)
  if (minutes < 1) return 'less than a minute ago'
  return minutes < 120 ? `${count(minutes, 'minute')} ago` : `${count(Math.floor(minutes / 60), 'hour')} ago`
}
