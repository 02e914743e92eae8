// `peerpost agent`: the program beside the game.

import { Agent, type AgentEvent } from '../agent/agent.ts'
import { Problem } from '../base/problem.ts'
import { knownNat } from '../config/known-nat.ts'
import { loadAgentConfig } from '../config/load.ts'
import { readSecret, readSeed } from '../config/secrets.ts'
import { AgentControl } from '../control/agent-control.ts'
import { agentRoutes } from '../control/agent-routes.ts'
import { Standings, standingsFileOf } from '../control/standings.ts'
import { describeAgentEvent } from '../control/stories.ts'
import type { Forward } from '../forward/forwarder.ts'
import { parseExposes, parseForwards } from '../forward/options.ts'
import { roomKeys } from '../letter/room.ts'
import { readUserId, userIdText } from '../letter/user-id.ts'
import { systemClock } from '../net/system-clock.ts'
import { loadSodium } from '../sodium.ts'
import { prepareControl } from './control.ts'
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
  const exposes = [...config.games.expose, ...(options.expose ?? [])]
  const forwards = parseForwards([...config.games.forward, ...(options.forward ?? [])])
  const parsedExposes = parseExposes(exposes)
  const inviteFile = path(config.room.invite_file)
  const { invite, line } = inviteFrom(crypto, readSecret(inviteFile, 'The invite'), inviteFile)
  const subject = config.mail.subject ?? invite.subject
  const control = prepareControl({
    ...{
      clock: systemClock,
      crypto,
      settings: config.control,
      configFile: options.config,
      json: options.json,
    },
    describe: (event) => describeAgentEvent(event as AgentEvent),
    isMasked: false,
  })
  const report = createReporter(options.json, systemClock.wallNow, describeAgentEvent, control.tell)
  const identity = crypto.signKeyPair(readSeed(path(config.keys.identity_file), 'Your identity key'))
  const standings = new Standings(standingsFileOf(options.config), {
    friends: userIds('friends', config.peers.friends),
    blocked: userIds('blocked', config.peers.blocked),
  })

  const makeAgent = (onEvent: (event: AgentEvent) => void, open: readonly Forward[]) => {
    const { mailbox, sender } = openMail(config.mail, path, { subject, address: config.address }, (notice) =>
      onEvent({ event: 'notice', notice }),
    )
    return new Agent({
      clock: systemClock,
      crypto,
      identity,
      name: config.name,
      address: config.address,
      subject,
      roomName: invite.room.name,
      room: roomKeys(crypto, invite.room.secret),
      hosts: [invite.host],
      stunServers: config.stun.servers.length > 0 ? config.stun.servers : invite.stunServers,
      preferences: standings,
      settings: {
        port: config.network.port,
        keepaliveMs: config.network.keepalive,
        knownNat: knownNat(config.nat),
        portMapping: config.network.port_mapping,
        links: config.peers.links,
        attemptMs: config.peers.attempt,
        ...(config.network.bubble_ttl > 0 && { bubbleTtl: config.network.bubble_ttl }),
        sweepMs: config.letters.sweep,
        askAgainMs: config.letters.ask_again,
      },
      exposes: parsedExposes,
      forwards: open,
      mailbox,
      sender,
      onEvent,
    })
  }

  const agent = new AgentControl({
    ...{ clock: systemClock, makeAgent, standings, exposes, forwards, invite: line },
    ...{ name: config.name, id: userIdText(identity.publicKey), room: invite.room.name },
    onEvent: report,
  })
  const server = await control.start(agentRoutes(agent))
  try {
    await Promise.race([agent.start(), stopped])
    await stopped
    await agent.stop()
  } finally {
    await server?.close()
  }
}

function userIds(key: string, texts: readonly string[]): readonly string[] {
  return texts.map((text) => {
    const id = readUserId(text)
    if (id) return userIdText(id)
    throw new Problem(
      'config',
      `"${text}" in peers.${key} is no user ID.`,
      'Copy the one that their agent prints.',
    )
  })
}
