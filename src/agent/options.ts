// What an agent is made of.

import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { NatProfile } from '../base/nat-profile.ts'
import type { Expose, Forward } from '../forward/forward-types.ts'
import type { NamedServices } from '../forward/named-services.ts'
import type { RoomKeys } from '../letter/room-membership.ts'
import type { Mailbox } from '../mail/mailbox.ts'
import type { MailSender } from '../mail/sender.ts'
import type { AgentEvent } from './events.ts'
import type { KnownHost } from './letters/inbox.ts'
import type { NetworkIo } from './network/network-io.ts'
import type { PeerPreferences } from './peers/peer-ranking.ts'

export type AgentSettings = {
  /** UDP port, and TCP's where it is free; 0 for any. */
  readonly port: number
  readonly keepaliveMs: number
  /** Entered by hand (D9): counts more than what is found out. */
  readonly knownNat?: Partial<NatProfile>
  /** Whether the router is asked to open a port. */
  readonly portMapping: boolean
  /** Whether peers are met by TCP where UDP does not pass. */
  readonly tcp: boolean
  readonly links: number
  readonly attemptMs: number
  /** Hops that packets meant only to open our own NAT may live (D3); no limit when left out. */
  readonly bubbleTtl?: number
  readonly sweepMs: number
  /** A request without an answer is repeated after this time, then ever more seldom. */
  readonly askAgainMs: number
}

export type AgentOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  /** Ed25519: who we are. */
  readonly identity: KeyPair
  readonly name: string
  readonly address: string
  readonly subject: string
  readonly roomName: string
  readonly room: RoomKeys
  readonly hosts: readonly KnownHost[]
  readonly stunServers: readonly string[]
  readonly preferences: PeerPreferences
  readonly settings: AgentSettings
  readonly exposes: readonly Expose[]
  readonly forwards: readonly Forward[]
  /** What the program around us opens by name. */
  readonly namedServices?: NamedServices
  /** Not yet open; the agent opens and closes it. */
  readonly mailbox: Mailbox
  readonly sender: MailSender
  /** Must not throw; what it throws is lost. */
  readonly onEvent: (event: AgentEvent) => void
  /** The real network if left out. */
  readonly io?: NetworkIo
}
