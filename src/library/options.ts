// The options of agents and hosts in the library: a config file, or the same settings as JavaScript objects.

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
import { peersFileOf } from '../daemon/friends-and-blocked.ts'
import type { AgentSetup } from '../setup/create-agent.ts'
import { inviteFrom } from '../setup/parse-invite.ts'

/** A config file that `peerpost init` has written. Environment variables override it, as on the command line. */
export type ConfigFile = {
  /** Path of the TOML file. */
  readonly config: string
}

/** An agent without a config file. */
export type AgentSettings = {
  /** The invite to the room, from `peerpost invite` or `Host.invite`. */
  readonly invite: string
  /** The name that the other players see: one line of at most 32 characters. */
  readonly name: string
  /** The player's mail address. The host sends its answers to it. Other players never see it. */
  readonly address: string
  /** The URL of the mailbox: `imaps://USER:PASSWORD@SERVER`, `maildir:///PATH`, … */
  readonly receive: string
  /** The URL of the server that sends mail: `smtps://USER:PASSWORD@SERVER`, … */
  readonly send: string
  /** The folder for the player's identity key; it is created if missing. Without a folder the player has a new identity at
   *  each start, so nobody can keep it as a friend. */
  readonly folder?: string
  /** Other settings of a config file, with the same names: `{ network: { port: 7000 } }`. */
  readonly settings?: Pick<AgentTable, 'stun' | 'network' | 'nat' | 'peers' | 'games' | 'letters'>
}

export type AgentOptions = ConfigFile | AgentSettings

/** A host without a config file. */
export type HostSettings = {
  /** The mail address that agents write to. */
  readonly address: string
  /** The URL of the mailbox. */
  readonly receive: string
  /** The URL of the server that sends mail. */
  readonly send: string
  /** The folder for keys and the table of players; it is created if missing. Without it all invites are worthless. */
  readonly folder: string
  /** The name of the room. Default: `friends`. */
  readonly room?: string
  /** Other settings of a config file, with the same names: `{ table: { capacity: 500 } }`. */
  readonly settings?: Pick<HostTable, 'stun' | 'table' | 'letters' | 'same_nat'>
}

export type HostOptions = ConfigFile | HostSettings

const options = 'The options'

/** Reads the options, and the files that they name. Throws a Problem. */
export function readAgentOptions(
  crypto: Crypto,
  given: AgentOptions,
): Pick<AgentSetup, 'loaded' | 'identity' | 'invite' | 'peersFile'> {
  if ('config' in given) {
    const loaded = loadAgentConfig(given.config, process.env)
    const { keys, room } = loaded.config
    const inviteFile = loaded.path(room.invite_file)
    return {
      loaded,
      identity: crypto.signKeyPair(readSeed(loaded.path(keys.identity_file), 'Your identity key')),
      invite: inviteFrom(crypto, readSecret(inviteFile, 'The invite'), inviteFile),
      peersFile: peersFileOf(given.config),
    }
  }
  const { invite, name, address, receive, send, folder, settings } = given
  const config = checkAgentTable({ ...settings, name, address, mail: { receive, send } }, options)
  return {
    loaded: { config, path: (text) => resolve(text) },
    identity: folder === undefined ? crypto.signKeyPair() : identityIn(folder, crypto),
    invite: inviteFrom(crypto, invite, 'The option "invite"'),
    peersFile: folder === undefined ? null : join(folder, 'agent.peers.json'),
  }
}

/** Reads the options, and creates the keys if there are none. Throws a Problem. */
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

/** Creates all files, or none if one exists. A new key beside an old one would hide that a key was lost. */
function makeSeeds(crypto: Crypto, folder: string, files: readonly string[]): void {
  if (files.some((file) => existsSync(join(folder, file)))) return
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 })
  } catch (thrown) {
    throw new Problem('file', `The folder ${folder} cannot be made: ${messageOf(thrown)}.`, 'Choose another.')
  }
  for (const file of files) writeSecret(join(folder, file), seedText(crypto.randomBytes(32)))
}
