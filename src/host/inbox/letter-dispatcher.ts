// Reads a mail and passes its letter on: letters of agents to requests/, letters of other hosts to peer-hosts/. A worker gets
// the letters of agents from its representative (A14), and handles them as if they had come directly.

import type { FetchedMail } from '../../mail/mailbox.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { SeenLetters } from '../../store/seen-letters.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'
import { isPeerHostLetter } from '../peer-hosts/peer-host-letter.ts'
import type { PeerHosts } from '../peer-hosts/peer-hosts.ts'
import { checkReplay } from '../peer-hosts/replay-check.ts'
import type { WorkerLink } from '../representative/worker-link.ts'
import type { AgentLetterDispatcher } from '../requests/agent-letter-dispatcher.ts'
import { pendingBounce } from './bounced-mail.ts'
import type { MailHandler, PendingLetter } from './mail-handler.ts'
import { type ParsedLetter, parseLetter } from './parse-letter.ts'

type LetterDispatcherOptions = {
  readonly seen: SeenLetters
  readonly outbox: Outbox
  readonly unreachable: UnreachableAddresses
  readonly agentLetterDispatcher: AgentLetterDispatcher
  readonly peerHosts: PeerHosts
  /** Null when this host is no worker. */
  readonly workerLink: WorkerLink | null
}

export class LetterDispatcher implements MailHandler {
  readonly #context: HostContext
  readonly #options: LetterDispatcherOptions

  constructor(context: HostContext, options: LetterDispatcherOptions) {
    this.#context = context
    this.#options = options
  }

  freeSlots(): number {
    return this.#options.outbox.freeSlots('reply')
  }

  async read(mail: FetchedMail): Promise<PendingLetter> {
    const { seen, workerLink } = this.#options
    const parsed = await parseLetter(this.#context, mail)
    if ('bounce' in parsed) return pendingBounce(this.#context, this.#options, parsed.bounce)
    const kind = parsed.ok ? parsed.letter.kind : 'unknown'
    const { forward } = parsed
    if (!forward || !workerLink) return { kind, settle: () => this.#settle(parsed) }
    let isRequested = false
    return {
      kind,
      settle: () => {
        // The representative knows whether another worker has it.
        isRequested = !seen.has(forward.from, forward.id) && workerLink.shouldRequest(forward.id)
        if (!isRequested) return this.#settle(parsed)
        workerLink.noteWanted(forward.id)
        return 'asked-for'
      },
      onCommit: () => {
        if (!isRequested) workerLink.noteTaken(forward.id)
      },
    }
  }

  closeGroup(): void {
    this.#options.workerLink?.enqueueWanted()
  }

  #settle(parsed: Exclude<ParsedLetter, { bounce: unknown }>): DropReason | null {
    const { agentLetterDispatcher, peerHosts, seen } = this.#options
    const { forward } = parsed
    const now = this.#context.clock.wallNow()
    const replay = forward ? checkReplay(this.#context, seen, forward, now) : null
    if (replay !== null) return replay
    if (!parsed.ok) return parsed.refusal
    const { letter } = parsed
    return isPeerHostLetter(letter)
      ? peerHosts.handle(letter, now)
      : agentLetterDispatcher.dispatch(parsed, now)
  }
}
