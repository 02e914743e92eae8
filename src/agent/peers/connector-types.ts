// What all meetings of an agent are made with, and whom they tell.

import type { Clock } from '../../base/clock.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'
import type { PeerLink } from '../../forward/forwarder.ts'
import type { FailureReason, OfferedPeer } from '../../letter/letter-types.ts'
import type { RoomKeys } from '../../letter/room-membership.ts'
import type { AgentEvent, PeerName } from '../events.ts'
import type { SessionKeys } from '../letters/session-keys.ts'
import type { PeerConnectionNetwork } from './peer-connection-types.ts'
import type { PeerPreferences } from './peer-ranking.ts'

export type ConnectorOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly room: RoomKeys
  readonly sessions: SessionKeys
  readonly preferences: PeerPreferences
  /** Links wanted; no peer of a reply is tried beyond them. */
  readonly links: number
  readonly attemptMs: number
  readonly bubbleTtl?: number
  /** A link pings at least so often. */
  readonly keepaliveMs?: number
  readonly network: PeerConnectionNetwork
  /** How long a letter takes, as far as we have seen. */
  readonly mailMs: () => number | null
  /** To be passed on by mail, unread. */
  readonly onSignal: (peer: OfferedPeer, box: Uint8Array) => void
  readonly onEvent: (event: AgentEvent) => void
  /** A peer that a reply offered could not be reached. */
  readonly onFailure: (peer: OfferedPeer, reason: FailureReason) => void
  /** A new request is worth its mail: a link broke down, or peers left to try were told of us too long ago. */
  readonly onAskAgain: () => void
  readonly onAttach: (peer: PeerName, link: PeerLink) => void
  readonly onDetach: (peer: PeerName) => void
  readonly onDatagram: (peer: PeerName, bytes: Uint8Array) => void
}
