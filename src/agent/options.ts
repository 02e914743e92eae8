// The options of an agent.

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
  /** The UDP port, and also the TCP port where that is free. 0 means any. */
  readonly port: number
  readonly keepaliveMs: number
  /** Set by the user (D9). It overrides what the probes find. */
  readonly knownNat?: Partial<NatProfile>
  /** Whether to ask the router for a port mapping. */
  readonly portMapping: boolean
  /** Whether to connect over TCP where UDP does not get through. */
  readonly tcp: boolean
  readonly links: number
  readonly attemptMs: number
  /** TTL of the packets that only have to open our own NAT (D3). Without it, the TTL is not lowered. */
  readonly bubbleTtl?: number
  readonly sweepMs: number
  /** A request without a reply is repeated after this time. The interval then doubles. */
  readonly requestRetryMs: number
}

export type AgentOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  /** Our Ed25519 key pair. */
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
  /** Channels and streams that the surrounding program opens by name. */
  readonly namedServices?: NamedServices
  /** Not open yet. The agent opens and closes it. */
  readonly mailbox: Mailbox
  readonly sender: MailSender
  /** Errors it throws are ignored. */
  readonly onEvent: (event: AgentEvent) => void
  /** Default: the real network. */
  readonly io?: NetworkIo
}
