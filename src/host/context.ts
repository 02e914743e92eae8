// What every part of a host needs: its keys and address, its settings, time, crypto and `emit`.

import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { InviteHost } from '../letter/invite.ts'
import type { RoomTag, UserId } from '../letter/letter-types.ts'
import type { HostEvent } from './events.ts'
import type { HostSettings } from './settings.ts'

/** `identity` is Ed25519, `sealingKeys` is X25519. */
export type HostKeyPairs = { readonly identity: KeyPair; readonly sealingKeys: KeyPair }

export type HostRoom = {
  readonly tag: RoomTag
  /** The room's secret alone does not admit an agent. */
  readonly invitesRequired: boolean
}

/** The host's keys and roles, and the fields of its mails. */
export type HostSelf = HostKeyPairs & {
  /** The keys by which agents know this host. All workers of a representative share one set (A14). Any other host uses its own
   *  keys. */
  readonly agentFacingKeys: HostKeyPairs
  /** The host that forwards letters of agents to this one; null when agents write here directly. */
  readonly representative: InviteHost | null
  readonly address: string
  readonly domain: string
  readonly subject: string
  readonly rooms: readonly HostRoom[]
  /** Hosts whose invites are valid here: this one and those with which it exchanges tables. */
  readonly hosts: readonly UserId[]
  /** The agent in the same program, which shares this host's mail address; null if there is none. */
  readonly ownAgent: UserId | null
  /** User IDs that the config blocks, in hex. */
  readonly blocked: ReadonlySet<string>
  /** Authenticates the Message-IDs of its mails, see requests/bounce-token.ts. */
  readonly bounceTokenKey: Uint8Array
}

export type HostContext = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly settings: HostSettings
  readonly self: HostSelf
  readonly emit: (event: HostEvent) => void
}
