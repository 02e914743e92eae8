// What becomes of a letter that an agent sent: it is let in or refused, and then what its kind asks for is done; all in its
// transaction.

import { equalBytes } from '../../base/bytes.ts'
import type { FailureLetter, SignalLetter } from '../../letter/letter-types.ts'
import type { Invites } from '../../store/invites.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { Entry, PeerTable } from '../../store/peer-table.ts'
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
import type { LetterSource, RequestHandler } from './handle-request.ts'
import { relaySignal } from './relay-signal.ts'
import type { SenderLimits } from './sender-rate-limits.ts'

type AgentLettersOptions = {
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

export class AgentLetters {
  readonly #context: HostContext
  readonly #options: AgentLettersOptions

  constructor(context: HostContext, options: AgentLettersOptions) {
    this.#context = context
    this.#options = options
  }

  /** To be called inside the letter's transaction. Null when it was taken, or why it has no effect. `now` is wall time. */
  take(
    { letter, signed, mail }: Extract<ParsedLetter, { readonly ok: true }>,
    now: number,
  ): DropReason | null {
    const { peerHosts, standby, seen, admission } = this.#options
    const asked = peerHosts.among(mail.to)
    const admitted = admission.check(letter, mail, now)
    if (!admitted.admitted) {
      const { declined } = admitted
      if (declined && standby.isForUs(asked))
        declineRequest(this.#context, this.#options, declined, mail.messageId, now)
      return admitted.reason
    }
    const { from, id, sentAt } = admitted.letter
    if (!seen.remember(from, id, sentAt)) return 'copy'
    return this.#handle(admitted, { signed, messageId: mail.messageId, asked }, now)
  }

  #handle({ letter, inviteId }: Admitted, source: LetterSource, now: number): DropReason | null {
    const { invites, peers, requestHandler, tableExchange } = this.#options
    switch (letter.kind) {
      case 'request':
        if (inviteId !== null) invites.use(inviteId, letter.from, now)
        return requestHandler.take(letter, inviteId, source, now)
      case 'signal':
        return this.#takeSignal(letter, source, now)
      case 'failure':
        return this.#takeFailure(letter, now)
      case 'leave':
        peers.leave(letter.room, letter.from, letter.sentAt)
        tableExchange.noteGoodbye(letter, source.signed, null)
        return null
    }
  }

  /** Relayed unread: the box is sealed from agent to agent, only what is around it is made anew. */
  #takeSignal(letter: SignalLetter, { asked }: LetterSource, now: number): DropReason | null {
    const { standby, relay } = this.#options
    const recipient = this.#findPeer(letter, now)
    if (recipient === null) return 'unknown-peer'
    // The host that is awake has it, too.
    if (!standby.isForUs(asked)) return null
    if (relay.passOn(letter)) return null
    return relaySignal(this.#context, this.#options, recipient, letter, letter.from, now)
  }

  #takeFailure(letter: FailureLetter, now: number): DropReason | null {
    const { peers, tableExchange } = this.#options
    if (this.#findPeer(letter, now) === null) return 'unknown-peer'
    peers.flag(letter.room, letter.peer)
    tableExchange.noteFlag(letter.room, letter.peer)
    return null
  }

  /** The living entry of whom the letter speaks of, never its own sender's. */
  #findPeer({ room, peer, from }: SignalLetter | FailureLetter, now: number): Entry | null {
    return equalBytes(peer, from) ? null : this.#options.peers.find(room, peer, now)
  }
}
