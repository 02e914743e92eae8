// What agents and hosts of the library are made from: a config file, or the same settings in plain JavaScript.

import { existsSync, mkdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { messageOf, Problem } from '../base/problem.ts'
import type { HostConfig } from '../config/config-schema.ts'
import {
  type AgentTable,
  checkAgentTable,
  checkHostTable,
  type HostTable,
  type Loaded,
  loadAgentConfig,
  loadHostConfig,
} from '../config/load-config.ts'
import { readSecret, readSeed, seedText, writeSecret } from '../config/secret-files.ts'
import { standingsFileOf } from '../daemon/friends-and-blocked.ts'
import type { AgentSetup } from '../setup/create-agent.ts'
import { inviteFrom } from '../setup/parse-invite.ts'

/** A file as `peerpost init` makes it. The environment counts too, as with the command line. */
export type ConfigFile = {
  /** Path of the TOML file. */
  readonly config: string
}

/** An agent without a config file. */
export type AgentSettings = {
  /** The invite to the room: what `peerpost invite` or `Host.invite` gave. */
  readonly invite: string
  /** What the other players see: one line of at most 32 characters. */
  readonly name: string
  /** The player's mail address; the host answers to it, other players never see it. */
  readonly address: string
  /** Where its mail is read: `imaps://USER:PASSWORD@SERVER`, `maildir:///PATH`, … */
  readonly receive: string
  /** Where mail is sent: `smtps://USER:PASSWORD@SERVER`, … */
  readonly send: string
  /** Where the key that makes the player the same player next time is kept; made if it is not there. Without it the
   *  player is a new one each time, whom nobody can have as a friend. */
  readonly folder?: string
  /** Whatever else a config file can set, by the same names: `{ network: { port: 7000 } }`. */
  readonly settings?: Pick<AgentTable, 'stun' | 'network' | 'nat' | 'peers' | 'games' | 'letters'>
}

export type AgentOptions = ConfigFile | AgentSettings

/** A host without a config file. */
export type HostSettings = {
  /** The mailbox's address, to which agents write. */
  readonly address: string
  /** Where its mail is read. */
  readonly receive: string
  /** Where mail is sent. */
  readonly send: string
  /** Where keys and the table of players are kept; made if it is not there. Losing it makes all invites worthless. */
  readonly folder: string
  /** The room's name; `friends` if left out. */
  readonly room?: string
  /** Whatever else a config file can set, by the same names: `{ table: { capacity: 500 } }`. */
  readonly settings?: Pick<HostTable, 'stun' | 'table' | 'letters' | 'same_nat'>
}

export type HostOptions = ConfigFile | HostSettings

const options = 'The options'

/** Reads what there is to read. Throws a Problem. */
export function readAgentOptions(
  crypto: Crypto,
  given: AgentOptions,
): Pick<AgentSetup, 'loaded' | 'identity' | 'invite' | 'standingsFile'> {
  if ('config' in given) {
    const loaded = loadAgentConfig(given.config, process.env)
    const { keys, room } = loaded.config
    const inviteFile = loaded.path(room.invite_file)
    return {
      loaded,
      identity: crypto.signKeyPair(readSeed(loaded.path(keys.identity_file), 'Your identity key')),
      invite: inviteFrom(crypto, readSecret(inviteFile, 'The invite'), inviteFile),
      standingsFile: standingsFileOf(given.config),
    }
  }
  const { invite, name, address, receive, send, folder, settings } = given
  const config = checkAgentTable({ ...settings, name, address, mail: { receive, send } }, options)
  return {
    loaded: { config, path: (text) => resolve(text) },
    identity: folder === undefined ? crypto.signKeyPair() : identityIn(folder, crypto),
    invite: inviteFrom(crypto, invite, 'The option "invite"'),
    standingsFile: folder === undefined ? null : join(folder, 'agent.peers.json'),
  }
}

/** Makes the keys when there are none yet. Throws a Problem. */
export function readHostOptions(crypto: Crypto, given: HostOptions): Loaded<HostConfig> {
  if ('config' in given) return loadHostConfig(given.config, process.env)
  const { address, receive, send, folder, room = 'friends', settings } = given
  const secret = 'room.secret'
  const rooms = [{ name: room, secret_file: secret }]
  const config = checkHostTable({ ...settings, address, mail: { receive, send }, rooms }, options)
  const { identity_file, sealing_file } = config.keys
  makeSeeds(crypto, folder, [identity_file, sealing_file, secret])
  return { config, path: (text) => resolve(folder, text) }
}

function identityIn(folder: string, crypto: Crypto): KeyPair {
  makeSeeds(crypto, folder, ['identity.key'])
  return crypto.signKeyPair(readSeed(join(folder, 'identity.key'), 'Your identity key'))
}

/** All of them or, when there is one already, none: a new key beside an old one would hide that one was lost. */
function makeSeeds(crypto: Crypto, folder: string, files: readonly string[]): void {
  if (files.some((file) => existsSync(join(folder, file)))) return
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (thrown) {
    throw new Problem('file', `The folder ${folder} cannot be made: ${messageOf(thrown)}.`, 'Choose another.')
  }
  for (const file of files) writeSecret(join(folder, file), seedText(crypto.randomBytes(32)))
}
