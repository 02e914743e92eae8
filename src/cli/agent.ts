// `peerpost agent`: the program beside the game.

import { Agent } from '../agent/agent.ts'
import { toHex } from '../base/bytes.ts'
import { Problem } from '../base/problem.ts'
import { knownNat } from '../config/known-nat.ts'
import { loadAgentConfig } from '../config/load.ts'
import { readSecret, readSeed } from '../config/secrets.ts'
import { describeAgentEvent } from '../control/stories.ts'
import { parseExposes, parseForwards } from '../forward/options.ts'
import { roomKeys } from '../letter/room.ts'
import { readUserId } from '../letter/user-id.ts'
import { systemClock } from '../net/system-clock.ts'
import { loadSodium } from '../sodium.ts'
import { inviteFrom } from './invite-text.ts'
import { untilStopped } from './lifetime.ts'
import { openMail } from './open-mail.ts'
import { createReporter } from './output.ts'

export type AgentCommandOptions = {
  readonly config: string
  readonly json?: boolean
  readonly expose?: readonly string[]
  readonly forward?: readonly string[]
}

export async function runAgent(options: AgentCommandOptions): Promise<void> {
  const { stopped } = untilStopped()
  const crypto = await loadSodium()
  const { config, path } = loadAgentConfig(options.config, process.env)
  const exposes = parseExposes([...config.games.expose, ...(options.expose ?? [])])
  const forwards = parseForwards([...config.games.forward, ...(options.forward ?? [])])
  const inviteFile = path(config.room.invite_file)
  const { invite } = inviteFrom(crypto, readSecret(inviteFile, 'The invite'), inviteFile)
  const subject = config.mail.subject ?? invite.subject
  const report = createReporter(options.json, systemClock.wallNow, describeAgentEvent)
  const { mailbox, sender } = openMail(config.mail, path, { subject, address: config.address }, (notice) =>
    report({ event: 'notice', notice }),
  )
  const agent = new Agent({
    clock: systemClock,
    crypto,
    identity: crypto.signKeyPair(readSeed(path(config.keys.identity_file), 'Your identity key')),
    name: config.name,
    address: config.address,
    subject,
    roomName: invite.room.name,
    room: roomKeys(crypto, invite.room.secret),
    hosts: [invite.host],
    stunServers: config.stun.servers.length > 0 ? config.stun.servers : invite.stunServers,
    preferences: {
      friends: userIds('friends', config.peers.friends),
      blocked: userIds('blocked', config.peers.blocked),
    },
    settings: {
      port: config.network.port,
      keepaliveMs: config.network.keepalive,
      knownNat: knownNat(config.nat),
      portMapping: config.network.port_mapping,
      links: config.peers.links,
      attemptMs: config.peers.attempt,
      sweepMs: config.letters.sweep,
      askAgainMs: config.letters.ask_again,
    },
    exposes,
    forwards,
    mailbox,
    sender,
    onEvent: report,
  })
  await Promise.race([agent.start(), stopped])
  await stopped
  await agent.stop()
}

function userIds(key: string, texts: readonly string[]): ReadonlySet<string> {
  return new Set(
    texts.map((text) => {
      const id = readUserId(text)
      if (id) return toHex(id)
      throw new Problem(
        'config',
        `"${text}" in peers.${key} is no user ID.`,
        'Copy the one that their agent prints.',
      )
    }),
  )
}
