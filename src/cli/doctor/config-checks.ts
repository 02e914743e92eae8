// Checks the config, and the secrets, keys and invites that it names.

import { statSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import type { Crypto } from '../../base/crypto.ts'
import type { AgentConfig, HostConfig } from '../../config/config-schema.ts'
import type { Loaded, LoadedConfig } from '../../config/load-config.ts'
import { readSecret, readSeed } from '../../config/secret-files.ts'
import { parseExposes, parseForwards } from '../../forward/parse-forwards.ts'
import type { Invite } from '../../letter/invite.ts'
import { parseReceiveUrl, parseSendUrl } from '../../mail/mail-url.ts'
import { userIds } from '../../setup/create-agent.ts'
import { readHostKeys } from '../../setup/host-keys.ts'
import { draftInvite } from '../../setup/manage-invites.ts'
import { inviteFrom } from '../../setup/parse-invite.ts'
import { count } from '../../wording/numbers-text.ts'
import { type Finding, fault, faultOf, ok, warning } from './findings.ts'

/** Checks the values that loading the file does not check. */
export function checkConfig(file: string, loaded: LoadedConfig): readonly Finding[] {
  const { role, config } = loaded
  const findings: Finding[] = []
  const attempt = (work: () => unknown) => {
    try {
      work()
    } catch (thrown) {
      findings.push(faultOf('config', thrown))
    }
  }
  attempt(() => parseReceiveUrl(config.mail.receive))
  attempt(() => parseSendUrl(config.mail.send))
  if (role === 'agent') {
    attempt(() => parseExposes(config.games.expose))
    attempt(() => parseForwards(config.games.forward))
    for (const list of ['friends', 'blocked'] as const) attempt(() => userIds(list, config.peers[list]))
  }
  if (findings.length > 0) return findings
  return [
    ok('config', `${file} is valid, for ${role === 'host' ? 'a host' : 'an agent'} at ${config.address}.`),
  ]
}

/** Checks that each secret exists and that only its owner may read it. */
export function checkSecrets(file: string, { role, config, path }: LoadedConfig): readonly Finding[] {
  const { receive_password_file: receive, send_password_file: send } = config.mail
  const secrets: readonly (readonly [string | undefined, string, 'key' | 'line'])[] = [
    [receive, 'The password for receiving mail', 'line'],
    [send, 'The password for sending mail', 'line'],
    [config.keys.identity_file, 'The identity key', 'key'],
    ...(role === 'host'
      ? [
          [config.table.password_file, 'The password of PostgreSQL', 'line'] as const,
          [config.keys.sealing_file, 'The sealing key', 'key'] as const,
          [config.represents?.identity_file, 'The identity key that workers share', 'key'] as const,
          [config.represents?.sealing_file, 'The sealing key that workers share', 'key'] as const,
          ...config.rooms.map(
            (room) => [room.secret_file, `The secret of room ${room.name}`, 'key'] as const,
          ),
        ]
      : [[config.room.invite_file, 'The invite', 'line'] as const]),
  ]
  const findings: Finding[] = []
  for (const [name, what, form] of secrets) {
    if (name === undefined) continue
    try {
      if (form === 'key') readSeed(path(name), what)
      else readSecret(path(name), what)
    } catch (thrown) {
      findings.push(faultOf('secrets', thrown))
    }
  }
  findings.push(...checkPermissions(file, config))
  if (findings.length > 0) return findings
  const number = secrets.filter(([name]) => name !== undefined).length
  return [ok('secrets', `${count(number, 'secret')} found, readable by this user only.`)]
}

function checkPermissions(file: string, config: AgentConfig | HostConfig): readonly Finding[] {
  if (process.platform === 'win32') return []
  const findings: Finding[] = []
  const mode = statSync(file).mode
  const table = 'table' in config && 'url' in config.table ? config.table.url : undefined
  const urls = [config.mail.receive, config.mail.send, table ?? '']
  const hasPassword = urls.some((url) => /^[^:]+:\/\/[^/?#]*:[^/?#]*@/.test(url))
  if (hasPassword && (mode & 0o077) !== 0) {
    findings.push(
      fault(
        'secrets',
        `A password in ${file} can be read by others.`,
        `Run \`chmod 600 ${file}\`, or move it to a file of its own that receive_password_file, send_password_file or [table] password_file names.`,
      ),
    )
  }
  for (const place of [file, dirname(resolve(file))]) {
    const { mode, uid } = statSync(place)
    const isSticky = (mode & 0o1000) !== 0
    if ((mode & 0o022) !== 0 && !isSticky) {
      findings.push(
        warning('secrets', `Others on this computer may change ${place}.`, `Run \`chmod go-w ${place}\`.`),
      )
    } else if (uid !== 0 && process.getuid && uid !== process.getuid()) {
      findings.push(
        warning(
          'secrets',
          `${place} belongs to another user than the one who runs the doctor.`,
          'Run the doctor as the user who runs the daemon: only then it can check what the daemon may read.',
        ),
      )
    }
  }
  return findings
}

/** Checks that a host can make invites, or that an agent can use its invite. */
export function checkInvite(
  crypto: Crypto,
  loaded: LoadedConfig,
): { readonly findings: readonly Finding[]; readonly invite: Invite | null } {
  try {
    return loaded.role === 'host'
      ? { findings: checkRooms(crypto, loaded), invite: null }
      : checkAgentInvite(crypto, loaded)
  } catch (thrown) {
    return { findings: [faultOf('invite', thrown)], invite: null }
  }
}

function checkRooms(crypto: Crypto, loaded: Loaded<HostConfig>): readonly Finding[] {
  const keys = readHostKeys(crypto, loaded)
  const { rooms } = keys
  const { stun, role } = loaded.config
  if (role === 'representative')
    return [ok('invite', 'This is a representative host: its workers make the invites.')]
  for (const room of rooms) {
    inviteFrom(crypto, draftInvite({ crypto, loaded, keys }, room, {}).text, `The invite to ${room.name}`)
  }
  const names = rooms.map(({ name }) => name).join(', ')
  const good = ok('invite', `Invites can be given to ${count(rooms.length, 'room')}: ${names}.`)
  if (stun.servers.length > 0) return [good]
  return [
    good,
    warning(
      'invite',
      'Invites name no STUN server.',
      'Name two in [stun] servers: otherwise agents ask public servers.',
    ),
  ]
}

function checkAgentInvite(crypto: Crypto, { config, path }: Loaded<AgentConfig>) {
  const file = path(config.room.invite_file)
  const { invite } = inviteFrom(crypto, readSecret(file, 'The invite'), file)
  const findings: Finding[] = []
  if (invite.host.address.toLowerCase() === config.address.toLowerCase()) {
    findings.push(
      fault(
        'invite',
        `${config.address} is the host's own address: the two would remove each other's letters.`,
        'Give the agent a mail address of its own.',
      ),
    )
  }
  if (config.mail.subject !== undefined && config.mail.subject !== invite.subject) {
    findings.push(
      fault(
        'invite',
        `The subject in [mail] is not that of the invite, "${invite.subject}", which the host uses in its answers.`,
        'Remove `subject` from [mail].',
      ),
    )
  }
  if (findings.length === 0) {
    findings.push(ok('invite', `The invite is to the room ${invite.room.name} of ${invite.host.address}.`))
  }
  return { findings, invite }
}
