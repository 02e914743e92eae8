// A host's own desk: letters of agents are admitted and done, those of other hosts taken. A worker's letters of agents
// come by its representative (mission A14), and are treated as if they had come straight to it.

import type { FetchedMail } from '../mail/mailbox.ts'
import { admitLetter } from './admitting.ts'
import { isBetweenHosts, repeats } from './between-hosts.ts'
import { declineRequest } from './declining.ts'
import type { Case, Desk } from './desk.ts'
import type { DropReason } from './events.ts'
import type { HostParts } from './parts.ts'
import { type Bounce, type Reading, readFetched } from './reading.ts'
import { takeLetter } from './taking.ts'

type Taken = Extract<Reading, { ok: true }>

export class AdmissionDesk implements Desk {
  readonly #parts: HostParts
  readonly #onForwardTaken: (id: Uint8Array) => void

  /** `onForwardTaken`: what the representative sent under this ID is settled. */
  constructor(parts: HostParts, onForwardTaken: (id: Uint8Array) => void = () => {}) {
    this.#parts = parts
    this.#onForwardTaken = onForwardTaken
  }

  room(): number {
    return this.#parts.outbox.room('reply')
  }

  async read(mail: FetchedMail): Promise<Case> {
    const reading = await readFetched(this.#parts, mail)
    if ('bounce' in reading) return bounceCase(this.#parts, reading.bounce)
    const { forward } = reading
    return {
      kind: reading.ok ? reading.letter.kind : 'unknown',
      settle: () => this.#settle(reading),
      ...(forward && { onCommit: () => this.#onForwardTaken(forward.id) }),
    }
  }

  #settle(reading: Exclude<Reading, { bounce: unknown }>): DropReason | null {
    const { forward } = reading
    const again = forward ? repeats(this.#parts, forward, this.#parts.clock.wallNow()) : null
    if (again !== null) return again
    return reading.ok ? this.#take(reading) : reading.refusal
  }

  #take({ letter, signed, mail }: Taken): DropReason | null {
    const { clock, seen, neighbours } = this.#parts
    const wallNow = clock.wallNow()
    if (isBetweenHosts(letter)) return neighbours.take(letter, wallNow)
    const admission = admitLetter(this.#parts, letter, mail, wallNow)
    if (!admission.admitted) {
      const { declined } = admission
      if (declined && neighbours.standby.isAwake)
        declineRequest(this.#parts, declined.letter, declined.decline, mail.messageId, wallNow)
      return admission.reason
    }
    const { from, id, sentAt } = admission.letter
    if (!seen.remember(from, id, sentAt)) return 'copy'
    return takeLetter(this.#parts, admission, { signed, messageId: mail.messageId }, wallNow)
  }
}

/** A mail of ours came back. */
export function bounceCase(
  { unreachable, clock }: Pick<HostParts, 'unreachable' | 'clock'>,
  { recipient, sentAt, isFinal }: Bounce,
): Case {
  return {
    kind: 'unknown',
    settle: () => {
      if (isFinal) unreachable.note(recipient, sentAt, clock.wallNow())
      return 'bounce'
    },
  }
}
