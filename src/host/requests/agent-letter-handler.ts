// A host's own desk: letters of agents are admitted and done, those of other hosts taken. A worker's letters of agents
// come by its representative (A14), and are treated as if they had come straight to it.

import type { LetterId } from '../../letter/letter-types.ts'
import type { FetchedMail } from '../../mail/mailbox.ts'
import type { HostParts } from '../context.ts'
import type { DropReason } from '../events.ts'
import type { LetterHandler, PendingLetter } from '../inbox/letter-handler.ts'
import { type Bounce, type Reading, readFetched } from '../inbox/parse-letter.ts'
import { isBetweenHosts, repeats } from '../peer-hosts/host-letters.ts'
import { admitLetter } from './admit.ts'
import { declineRequest } from './decline.ts'
import { isForUs, takeLetter } from './handle-letter.ts'

type Taken = Extract<Reading, { ok: true }>

/** Of a worker: what it has to do with its representative. */
export type ForwardNotices = {
  /** Whether to leave the forward to the representative, which knows whether another worker has it. */
  readonly asksFor: (id: LetterId) => boolean
  /** It is settled, and that is committed. */
  readonly onTaken: (id: LetterId) => void
  /** It is left; inside the transaction. */
  readonly onWanted: (id: LetterId) => void
  /** Inside the transaction, when no more are left in it. */
  readonly tellWanted: () => void
}

export class AgentLetterHandler implements LetterHandler {
  readonly #parts: HostParts
  /** Null for a host that is no worker. */
  readonly #forwards: ForwardNotices | null

  constructor(parts: HostParts, forwards: ForwardNotices | null = null) {
    this.#parts = parts
    this.#forwards = forwards
  }

  room(): number {
    return this.#parts.outbox.freeSlots('reply')
  }

  async read(mail: FetchedMail): Promise<PendingLetter> {
    const reading = await readFetched(this.#parts, mail)
    if ('bounce' in reading) return bounceCase(this.#parts, reading.bounce)
    const kind = reading.ok ? reading.letter.kind : 'unknown'
    const { forward } = reading
    if (!forward || !this.#forwards) return { kind, settle: () => this.#settle(reading) }
    const { seen } = this.#parts
    const { asksFor, onTaken, onWanted } = this.#forwards
    let isLeft = false
    return {
      kind,
      settle: () => {
        isLeft = !seen.has(forward.from, forward.id) && asksFor(forward.id)
        if (!isLeft) return this.#settle(reading)
        onWanted(forward.id)
        return 'asked-for'
      },
      onCommit: () => {
        if (!isLeft) onTaken(forward.id)
      },
    }
  }

  closeGroup(): void {
    this.#forwards?.tellWanted()
  }

  #settle(reading: Exclude<Reading, { bounce: unknown }>): DropReason | null {
    const { forward } = reading
    const again = forward ? repeats(this.#parts, forward, this.#parts.clock.wallNow()) : null
    if (again !== null) return again
    return reading.ok ? this.#take(reading) : reading.refusal
  }

  #take({ letter, signed, mail }: Taken): DropReason | null {
    const { clock, seen, peerHosts } = this.#parts
    const wallNow = clock.wallNow()
    if (isBetweenHosts(letter)) return peerHosts.take(letter, wallNow)
    const asked = peerHosts.among(mail.to)
    const admission = admitLetter(this.#parts, letter, mail, wallNow)
    if (!admission.admitted) {
      const { declined } = admission
      if (declined && isForUs(this.#parts, { asked }))
        declineRequest(this.#parts, declined.letter, declined.decline, mail.messageId, wallNow)
      return admission.reason
    }
    const { from, id, sentAt } = admission.letter
    if (!seen.remember(from, id, sentAt)) return 'copy'
    const source = { signed, messageId: mail.messageId, asked }
    return takeLetter(this.#parts, admission, source, wallNow)
  }
}

/** A mail of ours came back. */
export function bounceCase(
  { unreachable, clock }: Pick<HostParts, 'unreachable' | 'clock'>,
  { recipient, sentAt, isFinal }: Bounce,
): PendingLetter {
  return {
    kind: 'unknown',
    settle: () => {
      if (isFinal) unreachable.note(recipient, sentAt, clock.wallNow())
      return 'bounce'
    },
  }
}
