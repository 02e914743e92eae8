// What a running agent emits. `id` is the readable user ID, addresses are `ip:port`.

import { formatEndpoint } from '../base/endpoint.ts'
import type { NatProfile } from '../base/nat-profile.ts'
import { isConnection } from '../base/protocol-machine.ts'
import type { ForwarderEvent } from '../forward/forwarder.ts'
import type { LetterKind, OfferedPeer } from '../letter/letter-types.ts'
import { userIdText } from '../letter/user-id.ts'
import type { MailboxState } from '../mail/mailbox.ts'
import type { Path } from '../punch/connectivity-checks.ts'

export type PeerName = { readonly id: string; readonly name: string }

/** How a connection runs. `local` is how the peer sees us where that is known. */
export type PathReport = {
  readonly kind: 'lan' | 'direct'
  readonly protocol: 'udp' | 'tcp'
  readonly local: string
  readonly remote: string
}

export type AgentEvent =
  | { readonly event: 'ready'; readonly id: string; readonly name: string; readonly room: string }
  | (NatProfile & {
      readonly event: 'nat'
      /** As STUN servers see us. */
      readonly public: readonly string[]
      /** Whether one of them is public; it is not where the servers are inside the same network. */
      readonly isPublic: boolean
    })
  | ({ readonly event: 'mailbox' } & MailboxState)
  /** We said goodbye; `ready` tells when we are back. */
  | { readonly event: 'left' }
  | { readonly event: 'requested'; readonly hosts: number }
  | { readonly event: 'unsent'; readonly letter: LetterKind; readonly reason: string }
  /** No answer for so long; the request is repeated. */
  | { readonly event: 'unanswered'; readonly sinceRequestMs: number }
  | { readonly event: 'replied'; readonly peers: number; readonly sinceRequestMs: number }
  /** The host does not grant our request, and hears nothing from us for so long. */
  | { readonly event: 'declined'; readonly reason: string; readonly againInMs: number }
  | { readonly event: 'introduced'; readonly peer: PeerName }
  | { readonly event: 'punching'; readonly peer: PeerName; readonly plan: string }
  | {
      readonly event: 'connected'
      readonly peer: PeerName
      readonly path: PathReport
      readonly plan: string
      /** Sent by us until the path was found. */
      readonly packets: number
      readonly sinceRequestMs: number
      readonly sincePunchMs: number
    }
  /** The link goes on over another path. */
  | { readonly event: 'path'; readonly peer: PeerName; readonly path: PathReport }
  /** The peer is silent; the link looks for another path. */
  | { readonly event: 'disturbed'; readonly peer: PeerName }
  /** It is heard again; what was between was lost. */
  | { readonly event: 'recovered'; readonly peer: PeerName; readonly afterMs: number }
  | { readonly event: 'failed'; readonly peer: PeerName; readonly reason: string; readonly advice?: string }
  | { readonly event: 'disconnected'; readonly peer: PeerName; readonly reason: string }
  /** Nobody is left to try; others may come to us (A9). */
  | { readonly event: 'waiting' }
  /** A letter that was not what we wait for, by reason; never answered. */
  | { readonly event: 'letter'; readonly outcome: 'dropped'; readonly reason: string }
  /** Something a person may want to know. */
  | { readonly event: 'notice'; readonly notice: string }
  | { readonly event: 'forward'; readonly notice: string }

export function nameOf(peer: OfferedPeer): PeerName {
  return { id: userIdText(peer.id), name: peer.nickname }
}

export function reportOf(path: Path): PathReport {
  return {
    kind: path.kind,
    protocol: isConnection(path.via) ? 'tcp' : 'udp',
    local: formatEndpoint(path.local),
    remote: formatEndpoint(path.remote),
  }
}

export function forwardSentence(event: ForwarderEvent): string {
  switch (event.type) {
    case 'listening':
      return `localhost:${event.localPort} leads to ${event.protocol.toUpperCase()} port ${event.port} of ${event.nick}.`
    case 'forwarding':
      return event.peerId === null ? `${event.nick} is away.` : `${event.nick} can be reached.`
    case 'ambiguous-nick':
      return `Two players are called ${event.nick}; the forward stays with the first.`
  }
}
