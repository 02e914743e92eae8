// The entry point for every letter of an agent: admits or refuses it, then calls the handler of its kind. All of it happens
// in the letter's transaction.

import { equalBytes } from '../../base/bytes.ts'
import type { SignalLetter } from '../../letter/letter-types.ts'
import type { Invites } from '../../store/invites.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { PeerTable } from '../../store/peer-table.ts'
import type { SeenLetters } from '../../store/seen-letters.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'
import type { ParsedLetter } from '../inbox/parse-letter.ts'
import type { PeerHosts } from '../peer-hosts/peer-hosts.ts'
import type { Relay } from '../peer-hosts/relay.ts'
import type { Standby } from '../peer-hosts/standby.ts'
import type { TableExchange } from '../peer-hosts/table-exchange.ts'
import type { Admission, Admitted } from './admission.ts'
import { declineRequest } from './decline-request.ts'
import { handleFailureNotice } from './failure-notice.ts'
import type { LetterSource, RequestHandler } from './handle-request.ts'
import { relaySignal } from './relay-signal.ts'
import type { SenderLimits } from './sender-rate-limits.ts'

type AgentLetterDispatcherOptions = {
  readonly peers: PeerTable
  readonly seen: SeenLetters
  readonly invites: Invites
  readonly outbox: Outbox
  readonly unreachable: UnreachableAddresses
  readonly senderLimits: SenderLimits
  readonly admission: Admission
  readonly requestHandler: RequestHandler
  readonly peerHosts: PeerHosts
  readonly standby: Standby
  readonly relay: Relay
  readonly tableExchange: TableExchange
}

export class AgentLetterDispatcher {
  readonly #context: HostContext
  readonly #options: AgentLetterDispatcherOptions

  constructor(context: HostContext, options: AgentLetterDispatcherOptions) {
    this.#context = context
    this.#options = options
  }

  /** Call it inside the letter's transaction. Null when the letter is accepted, else why it has no effect. `now` is wall
   *  time. */
  dispatch(
    { letter, signed, mail }: Extract<ParsedLetter, { readonly ok: true }>,
    now: number,
  ): DropReason | null {
    const { peerHosts, standby, seen, admission } = this.#options
    const otherHosts = peerHosts.hostsAmong(mail.to)
    const admitted = admission.check(letter, mail, now)
    if (!admitted.admitted) {
      const { declined } = admitted
      if (declined && standby.mustAnswer(otherHosts))
        declineRequest(this.#context, this.#options, declined, mail.messageId, now)
      return admitted.reason
    }
    const { from, id, sentAt } = admitted.letter
    if (!seen.remember(from, id, sentAt)) return 'copy'
    return this.#handle(admitted, { signed, messageId: mail.messageId, otherHosts }, now)
  }

  #handle({ letter, inviteId }: Admitted, source: LetterSource, now: number): DropReason | null {
    const { invites, peers, requestHandler, tableExchange } = this.#options
    switch (letter.kind) {
      case 'request':
        if (inviteId !== null) invites.use(inviteId, letter.from, now)
        return requestHandler.handle(letter, inviteId, source, now)
      case 'signal':
        return this.#relaySignal(letter, source, now)
      case 'failure':
        return handleFailureNotice(this.#options, letter, now)
      case 'leave':
        peers.leave(letter.room, letter.from, letter.sentAt)
        tableExchange.noteLeave(letter, source.signed, null)
        return null
    }
  }

  /** The host cannot read the signal: one agent seals its box to the other. Only the letter around the box is new. */
  #relaySignal(letter: SignalLetter, { otherHosts }: LetterSource, now: number): DropReason | null {
    const { peers, standby, relay } = this.#options
    const { room, peer, from } = letter
    const recipient = equalBytes(peer, from) ? null : peers.find(room, peer, now)
    if (recipient === null) return 'unknown-peer'
    // The host that is awake has the letter, too, and relays it.
    if (!standby.mustAnswer(otherHosts)) return null
    if (relay.relayToHost(letter)) return null
    return relaySignal(this.#context, this.#options, recipient, letter, from, now)
  }
}
