// Sentences for people: why a peer could not be reached, and what to do about it.

import type { NatProfile } from '../../base/nat-profile.ts'
import type { OfferedPeer } from '../../letter/letter-types.ts'
import { type AgentEvent, nameOf } from '../events.ts'
import type { PeerConnectionFailure } from './peer-connection.ts'

/** `no-handshake`: a path was found, but the other side did not prove to be the peer. */
export function failedEvent(
  peer: OfferedPeer,
  reason: Exclude<PeerConnectionFailure, 'stopped'>,
  ownNat: NatProfile,
): AgentEvent & { readonly event: 'failed' } {
  const [sentence, advice] = explain(reason, [ownNat, peer.nat])
  return { event: 'failed', peer: nameOf(peer), reason: sentence, advice }
}

/** For a wanted peer that is not in the host's reply. */
export const notOffered = {
  reason: 'The host did not offer this player.',
  advice: 'It has left, or the host knew more recent players: try again when it is online.',
} as const

function explain(
  reason: Exclude<PeerConnectionFailure, 'stopped'>,
  nats: readonly NatProfile[],
): readonly [sentence: string, advice: string] {
  switch (reason) {
    case 'no-handshake':
      return [
        'A path was found, but the peer did not prove who it is.',
        'Check that both use the same invite and that the clocks of both computers are right.',
      ]
    case 'too-few-sockets':
      return [
        'This computer allows too few sockets to search for the port of the peer’s router.',
        'Raise the limit of open files with `ulimit -n 4096`, or close other programs.',
      ]
    case 'no-samples':
      return [
        'No STUN server showed which ports our router assigns.',
        'Check that the STUN servers of the invite answer: `peerpost nat` shows it.',
      ]
    case 'unpredictable-ports':
      return [
        'Our router assigns ports in an unpredictable order.',
        'Turn on UPnP on the router or forward a UDP port, use IPv6, or join from another network.',
      ]
    case 'no-answer':
      return [
        'The peer did not answer on any of its addresses.',
        nats.some(({ mapping }) => mapping === 'unknown')
          ? 'It may be offline, or there is a NAT of unknown type between you: use two STUN servers on different networks.'
          : 'It may be offline, or firewalls block both UDP and TCP between you.',
      ]
  }
}
