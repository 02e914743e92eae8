// `peerpost init host`: keys, a first room and a commented config.

import { join } from 'node:path'
import { Problem } from '../base/problem.ts'
import { defaultStunServers } from '../config/schema.ts'
import { seedText } from '../config/secrets.ts'
import { hostTemplate } from '../config/templates.ts'
import { isHostAndPort, isRoomName } from '../letter/text-rules.ts'
import { loadSodium } from '../sodium.ts'
import { type Asked, askForMail, loginStep } from './mail-answers.ts'
import { makeFolder } from './new-folder.ts'

export type InitHostOptions = Asked & { readonly room?: string; readonly stun?: readonly string[] }

export async function initHost(options: InitHostOptions): Promise<void> {
  const crypto = await loadSodium()
  const room = options.room ?? 'friends'
  if (!isRoomName(room)) {
    throw new Problem('usage', 'That is no name for a room.', 'Use one line of at most 64 characters.')
  }
  const stunServers = options.stun ?? defaultStunServers
  const odd = stunServers.find((server) => !isHostAndPort(server))
  if (odd !== undefined) {
    throw new Problem('usage', `"--stun ${odd}" is not HOST:PORT.`, 'Write it like stun.example.org:3478.')
  }
  const { secrets, ...mail } = await askForMail(options)
  const configFile = join(options.dir, 'host.toml')
  makeFolder({
    dir: options.dir,
    configFile: 'host.toml',
    config: hostTemplate({ ...mail, room, roomSecretFile: 'room.secret', stunServers }),
    secrets: [
      ...secrets,
      { file: 'identity.key', text: seedText(crypto.randomBytes(32)) },
      { file: 'sealing.key', text: seedText(crypto.randomBytes(32)) },
      { file: 'room.secret', text: seedText(crypto.randomBytes(32)) },
    ],
  })
  process.stdout.write(`A host for ${mail.address} is ready in ${options.dir}.
Next:
${loginStep(mail, configFile)}  peerpost host --config ${configFile}      run it
  peerpost invite --config ${configFile}    print the invite for your friends
`)
}
