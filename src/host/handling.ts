// What is done with the mails of a batch: each is read, then a group of them is settled in one transaction, because
// its sync to disk costs more than all the rest. For each letter it is all or nothing (design §5).

import { setImmediate } from 'node:timers/promises'
import { Problem } from '../base/problem.ts'
import type { LetterKind } from '../letter/kinds.ts'
import type { FetchedMail } from '../mail/mailbox.ts'
import { isDatabaseFailure } from '../table/database.ts'
import { admitLetter } from './admitting.ts'
import { isBetweenHosts } from './between-hosts.ts'
import { declineRequest } from './declining.ts'
import type { DropReason } from './events.ts'
import { type HostParts, internalProblem, withDatabase } from './parts.ts'
import { type Reading, readFetched } from './reading.ts'
import { takeLetter } from './taking.ts'

/** When this is told, whatever the letter asks for is on disk, or nothing of it; the mail can go. */
export type Handled =
  | { readonly outcome: 'accepted'; readonly kind: LetterKind }
  | { readonly outcome: 'dropped'; readonly kind: LetterKind | 'unknown'; readonly reason: DropReason }

/** Letters in one commit, at most. */
const groupLetters = 16

type Taken = Extract<Reading, { ok: true }>

export type HandlerNotices = {
  readonly onHandled: (mail: FetchedMail, handled: Handled) => void
  /** There may be mails to send and introductions to make. */
  readonly onCommit: () => void
}

export class Handler {
  readonly #parts: HostParts
  readonly #notices: HandlerNotices

  constructor(parts: HostParts, notices: HandlerNotices) {
    this.#parts = parts
    this.#notices = notices
  }

  /** In their order, until `isEnough`. Rejects with a Problem 'database' when letters must stay where they are;
   *  what was told of until then is done. */
  async handle(mails: readonly FetchedMail[], isEnough: () => boolean): Promise<void> {
    for (let at = 0; at < mails.length && !isEnough(); at += groupLetters) {
      const group: { readonly mail: FetchedMail; readonly reading: Reading }[] = []
      for (const mail of mails.slice(at, at + groupLetters)) {
        group.push({ mail, reading: await this.#read(mail) })
        // Mails under way go on meanwhile: without this the mail server would wait for us, then we for it.
        await setImmediate()
      }
      const { database } = this.#parts
      const settled = withDatabase(database, () =>
        database.transaction(() =>
          group.map(({ mail, reading }) => ({ mail, handled: this.#settle(reading) })),
        ),
      )
      for (const { mail, handled } of settled) this.#notices.onHandled(mail, handled)
      // A letter that was not admitted may have been declined by mail.
      if (settled.some(({ handled }) => handled.kind !== 'unknown')) this.#notices.onCommit()
    }
  }

  async #read(mail: FetchedMail): Promise<Reading> {
    try {
      return await readFetched(this.#parts, mail)
    } catch (thrown) {
      this.#tell(thrown)
      return { ok: false, refusal: 'malformed' }
    }
  }

  /** Inside the group's transaction, in one of its own: a letter that our own code cannot stand leaves no trace,
   *  and does not keep all others waiting for ever. */
  #settle(reading: Reading): Handled {
    if (!reading.ok) {
      if (reading.refusal === 'bounce' && reading.bounce.isFinal) {
        const { recipient, sentAt } = reading.bounce
        this.#parts.unreachable.note(recipient, sentAt, this.#parts.clock.wallNow())
      }
      return { outcome: 'dropped', kind: 'unknown', reason: reading.refusal }
    }
    const { kind } = reading.letter
    try {
      const reason = this.#parts.database.transaction(() => this.#take(reading))
      return reason === null ? { outcome: 'accepted', kind } : { outcome: 'dropped', kind, reason }
    } catch (thrown) {
      if (isDatabaseFailure(thrown)) throw thrown
      this.#tell(thrown)
      return { outcome: 'dropped', kind, reason: 'malformed' }
    }
  }

  /** Null, or why the letter has no effect. */
  #take({ letter, signed, mail }: Taken): DropReason | null {
    const { clock, seen, neighbours } = this.#parts
    const wallNow = clock.wallNow()
    if (isBetweenHosts(letter)) return neighbours.take(letter, wallNow)
    const admission = admitLetter(this.#parts, letter, mail, wallNow)
    if (!admission.admitted) {
      const { declined } = admission
      if (declined) declineRequest(this.#parts, declined.letter, declined.decline, mail.messageId, wallNow)
      return admission.reason
    }
    const { from, id, sentAt } = admission.letter
    if (!seen.remember(from, id, sentAt)) return 'copy'
    return takeLetter(this.#parts, admission, { signed, messageId: mail.messageId }, wallNow)
  }

  #tell(thrown: unknown): void {
    if (thrown instanceof Problem && thrown.code === 'database') throw thrown
    this.#parts.emit({ event: 'trouble', problem: internalProblem('A letter', thrown) })
  }
}

/** One mail by itself. */
export async function handleMail(parts: HostParts, mail: FetchedMail): Promise<Handled> {
  const { promise: handled, resolve } = Promise.withResolvers<Handled>()
  const handler = new Handler(parts, { onHandled: (_, one) => resolve(one), onCommit: () => {} })
  await handler.handle([mail], () => false)
  return handled
}
