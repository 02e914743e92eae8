// What is done with the mails of a batch: each is read, then a group of them is settled in one transaction, because
// its sync to disk costs more than all the rest. For each letter it is all or nothing.

import { setImmediate } from 'node:timers/promises'
import { Problem } from '../../base/problem.ts'
import type { FetchedMail } from '../../mail/mailbox.ts'
import { isDatabaseFailure } from '../../store/host-database.ts'
import { type HostGround, inTurn, internalProblem } from '../context.ts'
import type { Handled, LetterHandler, PendingLetter } from './letter-handler.ts'

/** Letters in one commit, at most. */
const groupLetters = 16

export type LetterBatchNotices = {
  readonly onHandled: (mail: FetchedMail, handled: Handled) => void
  /** There may be mails to send and introductions to make. */
  readonly onCommit: () => void
}

export class LetterBatchHandler {
  readonly #parts: HostGround
  readonly #desk: LetterHandler
  readonly #notices: LetterBatchNotices

  constructor(parts: HostGround, desk: LetterHandler, notices: LetterBatchNotices) {
    this.#parts = parts
    this.#desk = desk
    this.#notices = notices
  }

  /** In their order, until `isEnough`. Rejects with a Problem 'database' when letters must stay where they are;
   *  what was told of until then is done. */
  async handle(mails: readonly FetchedMail[], isEnough: () => boolean): Promise<void> {
    for (let at = 0; at < mails.length && !isEnough(); at += groupLetters) {
      const group: { readonly mail: FetchedMail; readonly one: PendingLetter }[] = []
      for (const mail of mails.slice(at, at + groupLetters)) {
        group.push({ mail, one: await this.#read(mail) })
        // Mails under way go on meanwhile: without this the mail server would wait for us, then we for it.
        await setImmediate()
      }
      const { database } = this.#parts
      const settled = await inTurn(database, () => {
        const handled = group.map(({ mail, one }) => ({ mail, one, handled: this.#settle(one) }))
        this.#desk.closeGroup?.()
        return handled
      })
      for (const { mail, one, handled } of settled) {
        one.onCommit?.()
        this.#notices.onHandled(mail, handled)
      }
      // A letter that was not admitted may have been declined by mail.
      if (settled.some(({ handled }) => handled.kind !== 'unknown')) this.#notices.onCommit()
    }
  }

  async #read(mail: FetchedMail): Promise<PendingLetter> {
    try {
      return await this.#desk.read(mail)
    } catch (thrown) {
      this.#tell(thrown)
      return { kind: 'unknown', settle: () => 'malformed' }
    }
  }

  /** Inside the group's transaction, in one of its own: a letter that our own code cannot stand leaves no trace,
   *  and does not keep all others waiting for ever. */
  #settle({ kind, settle }: PendingLetter): Handled {
    try {
      const reason = this.#parts.database.transaction(settle)
      if (reason !== null) return { outcome: 'dropped', kind, reason }
      return kind === 'unknown'
        ? { outcome: 'dropped', kind, reason: 'malformed' }
        : { outcome: 'accepted', kind }
    } catch (thrown) {
      if (isDatabaseFailure(thrown)) throw thrown
      this.#tell(thrown)
      return { outcome: 'dropped', kind, reason: 'malformed' }
    }
  }

  #tell(thrown: unknown): void {
    if (thrown instanceof Problem && thrown.code === 'database') throw thrown
    this.#parts.emit({ event: 'trouble', problem: internalProblem('A letter', thrown) })
  }
}

/** One mail by itself. */
export async function handleMail(
  parts: HostGround,
  desk: LetterHandler,
  mail: FetchedMail,
): Promise<Handled> {
  const { promise: handled, resolve } = Promise.withResolvers<Handled>()
  const handler = new LetterBatchHandler(parts, desk, {
    onHandled: (_, one) => resolve(one),
    onCommit: () => {},
  })
  await handler.handle([mail], () => false)
  return handled
}
