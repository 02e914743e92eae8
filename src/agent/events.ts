// The events of a running agent. `id` is the readable user ID. Addresses are `ip:port`.

import { formatEndpoint } from '../base/endpoint.ts'
import type { NatProfile } from '../base/nat-profile.ts'
import { isConnection } from '../base/protocol-machine.ts'
import type { ForwarderEvent } from '../forward/forwarder.ts'
import type { LetterKind, OfferedPeer } from '../letter/letter-types.ts'
import { userIdText } from '../letter/user-id.ts'
import type { MailboxState } from '../mail/mailbox.ts'
import type { Path } from '../punch/connectivity-checks.ts'

export type PeerName = { readonly id: string; readonly name: string }

/** The path of a connection. `local` is the address at which the peer sees us, where we know it. */
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
      /** The addresses at which STUN servers see us. */
      readonly public: readonly string[]
      /** Whether one of them is a public address. None is when the servers are inside our own network. */
      readonly isPublic: boolean
    })
  | ({ readonly event: 'mailbox' } & MailboxState)
  /** The agent said goodbye. `ready` follows when it is back. */
  | { readonly event: 'left' }
  | { readonly event: 'requested'; readonly hosts: number }
  | { readonly event: 'unsent'; readonly letter: LetterKind; readonly reason: string }
  /** No reply came in this time. The request is repeated. */
  | { readonly event: 'unanswered'; readonly sinceRequestMs: number }
  | { readonly event: 'replied'; readonly peers: number; readonly sinceRequestMs: number }
  /** The host declined our request. We send it no request for `againInMs`. */
  | { readonly event: 'declined'; readonly reason: string; readonly againInMs: number }
  | { readonly event: 'introduced'; readonly peer: PeerName }
  | { readonly event: 'punching'; readonly peer: PeerName; readonly plan: string }
  | {
      readonly event: 'connected'
      readonly peer: PeerName
      readonly path: PathReport
      readonly plan: string
      /** Packets that we sent until the path was found. */
      readonly packets: number
      readonly sinceRequestMs: number
      readonly sincePunchMs: number
    }
  /** The link has moved to another path. */
  | { readonly event: 'path'; readonly peer: PeerName; readonly path: PathReport }
  /** The peer is silent. The link looks for another path. */
  | { readonly event: 'disturbed'; readonly peer: PeerName }
  /** The peer is heard again. Datagrams sent during the silence may be lost. */
  | { readonly event: 'recovered'; readonly peer: PeerName; readonly afterMs: number }
  | { readonly event: 'failed'; readonly peer: PeerName; readonly reason: string; readonly advice?: string }
  | { readonly event: 'disconnected'; readonly peer: PeerName; readonly reason: string }
  /** No peer is left to try. Peers can still connect to us (A9). */
  | { readonly event: 'waiting' }
  /** A letter that has no effect, with the reason. We never answer it. */
  | { readonly event: 'letter'; readonly outcome: 'dropped'; readonly reason: string }
  /** A sentence for a person. */
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
