// `peerpost invite`: the invite alone on standard output, so that it can be piped.

import { Problem } from '../base/problem.ts'
import { loadHostConfig } from '../config/load.ts'
import { writeInvite } from '../letter/invite.ts'
import { loadSodium } from '../sodium.ts'
import { readHostKeys } from './host-keys.ts'

export async function printInvite(options: {
  readonly config: string
  readonly room?: string
}): Promise<void> {
  const crypto = await loadSodium()
  const loaded = loadHostConfig(options.config, process.env)
  const { identity, sealingKeys, rooms } = readHostKeys(crypto, loaded)
  const room = options.room === undefined ? rooms[0] : rooms.find(({ name }) => name === options.room)
  if (!room) {
    throw new Problem(
      'usage',
      `There is no room "${options.room}".`,
      `Name one of: ${rooms.map(({ name }) => name).join(', ')}.`,
    )
  }
  const { address, mail, stun } = loaded.config
  const invite = writeInvite(crypto, {
    host: { address, identity: identity.publicKey, sealingKey: sealingKeys.publicKey },
    room: { name: room.name, secret: room.secret },
    stunServers: stun.servers,
    otherHosts: [],
    subject: mail.subject,
  })
  process.stdout.write(`${invite}\n`)
}
