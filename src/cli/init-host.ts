// `peerpost init host`: keys, a first room and a commented config.

import { join } from 'node:path'
import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import { defaultStunServers } from '../config/config-schema.ts'
import { agentTemplate, hostTemplate } from '../config/config-templates.ts'
import { seedText } from '../config/secret-files.ts'
import { type SharedRepresentative, writeHostCard } from '../letter/host-card.ts'
import { isHostAndPort, isNickname, isRoomName } from '../letter/text-validation.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { hostCardFrom } from '../setup/known-hosts.ts'
import { type Asked, askForMail, loginStep } from './ask-mail-settings.ts'
import { unfitNickname } from './init-agent.ts'
import { makeFolder } from './make-folder.ts'

export type InitHostOptions = Asked & {
  readonly room?: string
  readonly stun?: readonly string[]
  readonly join?: string
  readonly representative?: boolean
  /** The card of a representative host. */
  readonly represent?: string
  /** Nickname of an agent in the same program. */
  readonly agent?: string
}

export async function initHost(options: InitHostOptions): Promise<void> {
  const crypto = await loadSodium()
  checkRole(options)
  const joined = options.join === undefined ? null : sharedRoom(crypto, options.join)
  const front = joined?.front ?? newFront(crypto, options.represent)
  const isRepresentative = options.representative === true
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
      ...{ ...mail, room: isRepresentative ? null : room, roomSecretFile: 'room.secret', stunServers },
      standby: name !== undefined,
      ...(front && {
        representative: {
          address: front.representative.address,
          card: writeHostCard(crypto, { host: front.representative, room: null }),
        },
      }),
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
      ...(isRepresentative
        ? []
        : [{ file: 'room.secret', text: seedText(joined?.room.secret ?? crypto.randomBytes(32)) }]),
      ...(front
        ? [
            { file: 'shared-identity.key', text: seedText(front.identitySeed) },
            { file: 'shared-sealing.key', text: seedText(front.sealingSeed) },
          ]
        : []),
      ...(name === undefined
        ? []
        : [
            { file: 'agent.key', text: seedText(crypto.randomBytes(32)) },
            { file: 'agent.toml', text: agentTemplate({ ...mail, name, hostConfig: 'host.toml' }) },
          ]),
    ],
  })
  if (isRepresentative) {
    process.stdout.write(`A representative host for ${mail.address} is ready in ${options.dir}.
Next:
${loginStep(mail, configFile)}  peerpost host card --config ${configFile}    print its card: peerpost init host --represent CARD makes its first worker
  peerpost host peer add --config ${configFile} CARD    let it know each worker, by the worker's card
  peerpost host --config ${configFile}    run it
`)
    return
  }
  process.stdout.write(`A host for ${mail.address} is ready in ${options.dir}.
Next:
${loginStep(mail, configFile)}  ${name === undefined ? `peerpost host --config ${configFile}      run it` : `peerpost agent --config ${agentFile}    run it with your agent`}
  peerpost invite --config ${configFile}    print the invite for your friends
`)
  if (front) {
    process.stdout.write(`The representative host ${front.representative.address} has to know it. Its owner needs this card:
  peerpost host card --config ${configFile}
`)
  }
  if (!joined) return
  process.stdout.write(`Let the host ${joined.host.address} know this one, too. Its owner needs this card:
  peerpost host card --config ${configFile}
`)
}

function sharedRoom(crypto: Crypto, text: string) {
  const { host, room, front } = hostCardFrom(crypto, text, '--join')
  if (room) return { host, room, front }
  throw new Problem(
    'usage',
    '--join is a card without a room.',
    'Ask for one with the room in it: peerpost host card --config FILE --room NAME.',
  )
}

/** The keys that the workers of this representative will share: made with the first of them. */
function newFront(crypto: Crypto, card: string | undefined): SharedRepresentative | undefined {
  if (card === undefined) return undefined
  const { host } = hostCardFrom(crypto, card, '--represent')
  return {
    representative: host,
    identitySeed: crypto.randomBytes(32),
    sealingSeed: crypto.randomBytes(32),
  }
}

function checkRole({ representative, represent, join, room, agent }: InitHostOptions): void {
  const others = [represent !== undefined && '--represent', join !== undefined && '--join']
  const chosen = [
    ...others,
    representative && (room !== undefined ? '--room' : agent !== undefined && '--agent'),
  ]
  const named = [representative && '--representative', ...chosen].filter((name) => typeof name === 'string')
  if (named.length < 2) return
  throw new Problem(
    'usage',
    `${named[0]} and ${named[1]} do not go together.`,
    'A representative has no room; a further worker is made by --join, with the card of another worker.',
  )
}
