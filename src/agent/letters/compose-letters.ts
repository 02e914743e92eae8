// Composes the letters of an agent to its hosts.

import type { Clock } from '../../base/clock.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'
import type { Candidate } from '../../base/endpoint.ts'
import type { NatProfile } from '../../base/nat-profile.ts'
import type { FailureReason, Letter, OfferedPeer, UserId } from '../../letter/letter-types.ts'
import { proveMembership, type RoomKeys } from '../../letter/room-membership.ts'
import type { KnownHost } from './outgoing-letters.ts'
import type { OwnSession } from './session-keys.ts'

/** The sender of a letter. */
export type Author = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly name: string
  readonly address: string
  readonly room: RoomKeys
}

type ContactPoints = {
  readonly candidates: readonly Candidate[]
  /** Empty when we accept no TCP connections. */
  readonly tcpCandidates: readonly Candidate[]
  readonly nat: NatProfile
}

/** `sentAt` is the same in the letters to all hosts. The hosts exchange their tables (A13), so the letters must count
 *  as one request. */
export function requestTo(
  host: KnownHost,
  author: Author,
  session: OwnSession,
  { candidates, tcpCandidates, nat }: ContactPoints,
  sentAt: number,
): Letter {
  const { crypto, room, address, name } = author
  const head = { ...headTo(host, author), sentAt }
  const signedPart = { ...head, session: { id: session.id, publicKey: session.publicKey } }
  return {
    kind: 'request',
    ...signedPart,
    returnAddress: address,
    nickname: name,
    room: room.tag,
    proof: proveMembership(crypto, room, signedPart),
    ...(room.grant && { grant: room.grant }),
    candidates,
    ...(tcpCandidates.length > 0 && { tcpCandidates }),
    nat,
  }
}

export function failureTo(host: KnownHost, author: Author, peer: OfferedPeer, reason: FailureReason): Letter {
  return { kind: 'failure', ...headTo(host, author), room: author.room.tag, peer: peer.id, reason }
}

/** `box` is sealed for the peer. The host relays it and cannot open it. */
export function signalTo(host: KnownHost, author: Author, peer: UserId, box: Uint8Array): Letter {
  return { kind: 'signal', ...headTo(host, author), room: author.room.tag, peer, box }
}

export function leaveTo(host: KnownHost, author: Author): Letter {
  return { kind: 'leave', ...headTo(host, author), room: author.room.tag }
}

function headTo(host: KnownHost, { clock, crypto, identity }: Author) {
  return {
    from: identity.publicKey,
    to: host.identity,
    id: crypto.randomBytes(16),
    sentAt: clock.wallNow(),
  }
}
