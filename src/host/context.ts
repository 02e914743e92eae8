// What every part of a host needs: who it is, its settings, time, crypto and a way to emit events.

import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { InviteHost } from '../letter/invite.ts'
import type { RoomTag, UserId } from '../letter/letter-types.ts'
import type { HostEvent } from './events.ts'
import type { HostSettings } from './settings.ts'

/** Ed25519 and X25519. */
export type HostKeyPairs = { readonly identity: KeyPair; readonly sealingKeys: KeyPair }

export type HostRoom = {
  readonly tag: RoomTag
  /** Who has only the room's secret is not let in. */
  readonly invitesRequired: boolean
}

/** Who the host is and how its mails look. */
export type HostSelf = HostKeyPairs & {
  /** As agents know it: a worker of a representative host goes by keys that all its workers share (A14), any other host by
   *  its own. */
  readonly front: HostKeyPairs
  /** It hands on letters of agents to us; null when they come straight here. */
  readonly representative: InviteHost | null
  readonly address: string
  readonly domain: string
  readonly subject: string
  readonly rooms: readonly HostRoom[]
  /** Hosts whose invites let in as ours do: this one and those that it exchanges tables with. */
  readonly hosts: readonly UserId[]
  /** The agent that runs in the same program at the same address, if one does. */
  readonly ownAgent: UserId | null
  /** User IDs in hex that the config blocks. */
  readonly blocked: ReadonlySet<string>
  /** For the Message-IDs of its mails, see requests/bounce-token.ts. */
  readonly bounceTokenKey: Uint8Array
}

export type HostContext = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly settings: HostSettings
  readonly self: HostSelf
  readonly emit: (event: HostEvent) => void
}
