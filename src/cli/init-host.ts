// `peerpost init host`: keys, a first room and a commented config.

import { join } from 'node:path'
import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import { defaultStunServers } from '../config/schema.ts'
import { seedText } from '../config/secrets.ts'
import { agentTemplate, hostTemplate } from '../config/templates.ts'
import { writeHostCard } from '../letter/host-card.ts'
import { isHostAndPort, isNickname, isRoomName } from '../letter/text-rules.ts'
import { hostCardFrom } from '../setup/known-hosts.ts'
import { loadSodium } from '../sodium.ts'
import { unfitNickname } from './init-agent.ts'
import { type Asked, askForMail, loginStep } from './mail-answers.ts'
import { makeFolder } from './new-folder.ts'

export type InitHostOptions = Asked & {
  readonly room?: string
  readonly stun?: readonly string[]
  readonly join?: string
  /** Nickname of an agent in the same program. */
  readonly agent?: string
}

export async function initHost(options: InitHostOptions): Promise<void> {
  const crypto = await loadSodium()
  const joined = options.join === undefined ? null : sharedRoom(crypto, options.join)
  const room = joined?.room.name ?? options.room ?? 'friends'
  if (!isRoomName(room)) {
    throw new Problem('usage', 'That is no name for a room.', 'Use one line of at most 64 characters.')
  }
  const stunServers = options.stun ?? joined?.room.stunServers ?? defaultStunServers
  const odd = stunServers.find((server) => !isHostAndPort(server))
  if (odd !== undefined) {
    throw new Problem('usage', `"--stun ${odd}" is not HOST:PORT.`, 'Write it like stun.example.org:3478.')
  }
  const { agent: name } = options
  if (name !== undefined && !isNickname(name)) throw unfitNickname()
  const { secrets, ...mail } = await askForMail(options)
  const configFile = join(options.dir, 'host.toml')
  const agentFile = join(options.dir, 'agent.toml')
  makeFolder({
    dir: options.dir,
    configFile: 'host.toml',
    config: hostTemplate({
      ...{ ...mail, room, roomSecretFile: 'room.secret', stunServers },
      ...(joined && {
        subject: joined.room.subject,
        host: {
          address: joined.host.address,
          card: writeHostCard(crypto, { host: joined.host, room: null }),
        },
      }),
    }),
    secrets: [
      ...secrets,
      { file: 'identity.key', text: seedText(crypto.randomBytes(32)) },
      { file: 'sealing.key', text: seedText(crypto.randomBytes(32)) },
      { file: 'room.secret', text: seedText(joined?.room.secret ?? crypto.randomBytes(32)) },
      ...(name === undefined
        ? []
        : [
            { file: 'agent.key', text: seedText(crypto.randomBytes(32)) },
            { file: 'agent.toml', text: agentTemplate({ ...mail, name, hostConfig: 'host.toml' }) },
          ]),
    ],
  })
  process.stdout.write(`A host for ${mail.address} is ready in ${options.dir}.
Next:
${loginStep(mail, configFile)}  ${name === undefined ? `peerpost host --config ${configFile}      run it` : `peerpost agent --config ${agentFile}    run it with your agent`}
  peerpost invite --config ${configFile}    print the invite for your friends
`)
  if (!joined) return
  process.stdout.write(`Let the host ${joined.host.address} know this one, too. Its owner needs this card:
  peerpost host card --config ${configFile}
`)
}

function sharedRoom(crypto: Crypto, text: string) {
  const { host, room } = hostCardFrom(crypto, text, '--join')
  if (room) return { host, room }
  throw new Problem(
    'usage',
    '--join is a card without a room.',
    'Ask for one with the room in it: peerpost host card --config FILE --room NAME.',
  )
}
