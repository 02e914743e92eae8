// Builds an agent from its settings, for the command line and the library.

import { Agent, type AgentEvent } from '../agent/agent.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import type { AgentConfig } from '../config/config-schema.ts'
import type { Loaded } from '../config/load-config.ts'
import { knownNat } from '../config/nat-settings.ts'
import { type AgentConfigured, AgentControl } from '../daemon/agent-control.ts'
import { FriendsAndBlocked } from '../daemon/friends-and-blocked.ts'
import type { Forward } from '../forward/forward-types.ts'
import type { NamedServices } from '../forward/named-services.ts'
import { parseExposes, parseForwards } from '../forward/parse-forwards.ts'
import type { Invite } from '../letter/invite.ts'
import { memberKeys } from '../letter/room-membership.ts'
import { readUserId, userIdText } from '../letter/user-id.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { type OpenMail, openMail } from './open-mail.ts'

export type AgentSetup = {
  readonly crypto: Crypto
  readonly loaded: Loaded<AgentConfig>
  readonly identity: KeyPair
  /** `line` is the text to pass on to others. */
  readonly invite: { readonly invite: Invite; readonly line: string }
  /** The file that stores changes of friends and blocked players. Null: they are lost at the end. */
  readonly peersFile: string | null
  /** In addition to those of the settings, in the form of `--expose` and `--forward`. */
  readonly exposes: readonly string[]
  readonly forwards: readonly string[]
  /** For an agent that shares its mailbox with a host. Absent: the mailbox of the settings is opened. */
  readonly mail?: () => OpenMail
  /** The channels and streams that a program opens for other programs. */
  readonly namedServices?: NamedServices
  readonly onEvent: (event: AgentEvent) => void
  /** Called for each new agent: there is one each time the room is joined. */
  readonly onMade?: (agent: Agent) => void
}

/** Opens and starts nothing. Throws a Problem for settings that cannot work. */
export function setUpAgent(setup: AgentSetup): AgentControl {
  const { crypto, identity, invite, loaded, onEvent } = setup
  const { config } = loaded
  const exposes = [...config.games.expose, ...setup.exposes]
  const { forwards, ...peers } = readConfigured(config, setup.forwards)
  const parsedExposes = parseExposes(exposes)
  const friendsAndBlocked = new FriendsAndBlocked(setup.peersFile, peers)
  const makeAgent = (onEvent: (event: AgentEvent) => void, open: readonly Forward[]) => {
    const subject = config.mail.subject ?? invite.invite.subject
    const filter = { subject, address: config.address }
    const agent = new Agent({
      clock: systemClock,
      crypto,
      identity,
      subject,
      name: config.name,
      address: config.address,
      ...(setup.mail?.() ??
        openMail(config.mail, loaded.path, filter, (notice) => onEvent({ event: 'notice', notice }))),
      roomName: invite.invite.room.name,
      room: memberKeys(crypto, invite.invite.room),
      hosts: [invite.invite.host, ...invite.invite.otherHosts],
      stunServers: config.stun.servers.length > 0 ? config.stun.servers : invite.invite.stunServers,
      preferences: friendsAndBlocked,
      settings: {
        port: config.network.port,
        keepaliveMs: config.network.keepalive,
        knownNat: knownNat(config.nat),
        portMapping: config.network.port_mapping,
        tcp: config.network.tcp,
        links: config.peers.links,
        attemptMs: config.peers.attempt,
        ...(config.network.bubble_ttl > 0 && { bubbleTtl: config.network.bubble_ttl }),
        sweepMs: config.letters.sweep,
        requestRetryMs: config.letters.ask_again,
      },
      exposes: parsedExposes,
      forwards: open,
      ...(setup.namedServices && { namedServices: setup.namedServices }),
      onEvent,
    })
    setup.onMade?.(agent)
    return agent
  }
  return new AgentControl({
    clock: systemClock,
    makeAgent,
    friendsAndBlocked,
    exposes,
    forwards,
    invite: invite.line,
    onEvent,
    name: config.name,
    id: userIdText(identity.publicKey),
    room: invite.invite.room.name,
  })
}

/** The settings that can change while the agent runs. `forwards` are added to those of the settings. Throws a Problem for
 *  settings that cannot work. */
export function readConfigured({ games, peers }: AgentConfig, forwards: readonly string[]): AgentConfigured {
  return {
    friends: userIds('friends', peers.friends),
    blocked: userIds('blocked', peers.blocked),
    forwards: parseForwards([...games.forward, ...forwards]),
  }
}

/** Checks a list in [peers] of the config. Throws a Problem for a text that is no user ID. */
export function userIds(key: string, texts: readonly string[]): readonly string[] {
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
