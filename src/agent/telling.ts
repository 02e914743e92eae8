// How meetings are told to people: names, paths, and why one failed.

import { formatEndpoint } from '../base/endpoint.ts'
import type { NatProfile } from '../base/nat-profile.ts'
import type { OfferedPeer } from '../letter/kinds.ts'
import { userIdText } from '../letter/user-id.ts'
import type { Path } from '../punch/punch.ts'
import type { AgentEvent, PathReport, PeerName } from './events.ts'

export function nameOf(peer: OfferedPeer): PeerName {
  return { id: userIdText(peer.id), name: peer.nickname }
}

export function reportOf(path: Path): PathReport {
  return { kind: path.kind, local: formatEndpoint(path.local), remote: formatEndpoint(path.remote) }
}

/** `no-handshake`: somebody was there, but did not prove to be the peer. */
export function failureOf(
  peer: OfferedPeer,
  reason: 'no-answer' | 'no-handshake',
  ownNat: NatProfile,
): AgentEvent & { readonly event: 'failed' } {
  if (reason === 'no-handshake') {
    return {
      event: 'failed',
      peer: nameOf(peer),
      reason: 'A path was found, but the peer did not prove who it is.',
      advice: 'Check that both use the same invite and that the clocks of both computers are right.',
    }
  }
  const isUnknown = ownNat.mapping === 'unknown' || peer.nat.mapping === 'unknown'
  return {
    event: 'failed',
    peer: nameOf(peer),
    reason: 'The peer did not answer on any of its addresses.',
    advice: isUnknown
      ? 'It may be off line; or a NAT of unknown kind stands between: name two STUN servers on different networks.'
      : 'It may be off line, or a firewall keeps UDP out.',
  }
}
