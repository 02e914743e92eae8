// Reads the keys and rooms of a host from the files that its config names.

import type { Crypto, KeyPair } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import type { HostConfig } from '../config/config-schema.ts'
import type { Loaded } from '../config/load-config.ts'
import { readSeed } from '../config/secret-files.ts'
import { type RoomKeys, roomKeys } from '../letter/room-membership.ts'
import { type Represented, readRepresented } from './worker-keys.ts'

export type HostKeys = {
  readonly identity: KeyPair
  readonly sealingKeys: KeyPair
  readonly rooms: readonly {
    readonly name: string
    readonly secret: Uint8Array
    readonly keys: RoomKeys
    readonly invitesRequired: boolean
  }[]
  /** For a worker of a representative host; otherwise null. */
  readonly represented: Represented | null
}

export function readHostKeys(crypto: Crypto, loaded: Loaded<HostConfig>): HostKeys {
  const { config, path } = loaded
  const rooms = config.rooms.map(({ name, secret_file, invites_required: invitesRequired }) => {
    const secret = readSeed(path(secret_file), `The secret of room ${name}`)
    return { name, secret, keys: roomKeys(crypto, secret), invitesRequired }
  })
  const twice = rooms.find(({ name }, index) => rooms.findIndex((room) => room.name === name) !== index)
  if (twice) throw new Problem('config', `Two rooms are called "${twice.name}".`, 'Rename one of them.')
  const isRepresentative = config.role === 'representative'
  if (isRepresentative !== (rooms.length === 0)) {
    throw new Problem(
      'config',
      isRepresentative ? 'A representative host has no [[rooms]].' : 'There is no room in the config.',
      isRepresentative
        ? 'Remove them: its workers have the rooms.'
        : 'Add a section [[rooms]], as config/ shows.',
    )
  }
  if (isRepresentative && config.represents) {
    throw new Problem(
      'config',
      'A representative host cannot be a worker too.',
      'Remove [represents], or `role = "representative"`.',
    )
  }
  return {
    represented: readRepresented(crypto, loaded),
    identity: crypto.signKeyPair(readSeed(path(config.keys.identity_file), "The host's identity key")),
    sealingKeys: crypto.boxKeyPair(readSeed(path(config.keys.sealing_file), "The host's sealing key")),
    rooms,
  }
}

export function readHostFolder(crypto: Crypto, loaded: Loaded<HostConfig>) {
  return { crypto, loaded, keys: readHostKeys(crypto, loaded) }
}

/** Returns the first room when no name is given. Throws a Problem when there is no such room. */
export function roomNamed({ rooms }: HostKeys, wanted?: string): HostKeys['rooms'][number] {
  const room = wanted === undefined ? rooms[0] : rooms.find(({ name }) => name === wanted)
  if (room) return room
  if (rooms.length === 0) {
    throw new Problem(
      'usage',
      'A representative host has no rooms.',
      'Name the config of one of its workers.',
    )
  }
  const names = rooms.map(({ name }) => name).join(', ')
  throw new Problem('usage', `There is no room "${wanted}".`, `Name one of: ${names}.`)
}
