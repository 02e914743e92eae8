// Reads a mail and gives its letter to whoever handles it: letters of agents to requests/, those of other hosts to
// peer-hosts/. A worker's letters of agents come by its representative (A14), and are treated as if they had come straight
// to it.

import type { FetchedMail } from '../../mail/mailbox.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { SeenLetters } from '../../store/seen-letters.ts'
import type { UnreachableAddresses } from '../../store/unreachable-addresses.ts'
import type { HostContext } from '../context.ts'
import type { DropReason } from '../events.ts'
import { isBetweenHosts, repeats } from '../peer-hosts/host-letters.ts'
import type { PeerHosts } from '../peer-hosts/peer-hosts.ts'
import type { WorkerLink } from '../representative/worker-link.ts'
import type { AgentLetters } from '../requests/agent-letters.ts'
import { pendingBounce } from './bounced-mail.ts'
import type { MailHandler, PendingLetter } from './mail-handler.ts'
import { type ParsedLetter, parseLetter } from './parse-letter.ts'

type LetterDispatcherOptions = {
  readonly seen: SeenLetters
  readonly outbox: Outbox
  readonly unreachable: UnreachableAddresses
  readonly agentLetters: AgentLetters
  readonly peerHosts: PeerHosts
  /** Null for a host that is no worker. */
  readonly workerLink: WorkerLink | null
}

export class LetterDispatcher implements MailHandler {
  readonly #context: HostContext
  readonly #options: LetterDispatcherOptions

  constructor(context: HostContext, options: LetterDispatcherOptions) {
    this.#context = context
    this.#options = options
  }

  room(): number {
    return this.#options.outbox.freeSlots('reply')
  }

  async read(mail: FetchedMail): Promise<PendingLetter> {
    const { seen, workerLink } = this.#options
    const parsed = await parseLetter(this.#context, mail)
    if ('bounce' in parsed) return pendingBounce(this.#context, this.#options, parsed.bounce)
    const kind = parsed.ok ? parsed.letter.kind : 'unknown'
    const { forward } = parsed
    if (!forward || !workerLink) return { kind, settle: () => this.#settle(parsed) }
    let isLeft = false
    return {
      kind,
      settle: () => {
        // Left to the representative, which knows whether another worker has it.
        isLeft = !seen.has(forward.from, forward.id) && workerLink.asksFor(forward.id)
        if (!isLeft) return this.#settle(parsed)
        workerLink.noteWanted(forward.id)
        return 'asked-for'
      },
      onCommit: () => {
        if (!isLeft) workerLink.noteTaken(forward.id)
      },
    }
  }

  closeGroup(): void {
    this.#options.workerLink?.tellWanted()
  }

  #settle(parsed: Exclude<ParsedLetter, { bounce: unknown }>): DropReason | null {
    const { agentLetters, peerHosts, seen } = this.#options
    const { forward } = parsed
    const now = this.#context.clock.wallNow()
    const again = forward ? repeats(this.#context, seen, forward, now) : null
    if (again !== null) return again
    if (!parsed.ok) return parsed.refusal
    const { letter } = parsed
    return isBetweenHosts(letter) ? peerHosts.take(letter, now) : agentLetters.take(parsed, now)
  }
}
