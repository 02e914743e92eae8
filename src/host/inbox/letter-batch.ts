// What is done with the mails of a batch: each is read, then a group of them is settled in one transaction, because
// its sync to disk costs more than all the rest. For each letter it is all or nothing.

import { setImmediate } from 'node:timers/promises'
import { Problem } from '../../base/problem.ts'
import type { FetchedMail } from '../../mail/mailbox.ts'
import { type HostDatabase, isDatabaseFailure } from '../../store/host-database.ts'
import type { HostContext } from '../context.ts'
import { internalProblem, withDatabaseTurn } from '../host-problems.ts'
import type { Handled, MailHandler, PendingLetter } from './mail-handler.ts'

/** Letters in one commit, at most. */
const groupLetters = 16

type LetterBatchOptions = {
  readonly database: HostDatabase
  readonly mailHandler: MailHandler
  readonly onHandled: (mail: FetchedMail, handled: Handled) => void
  /** There may be mails to send and introductions to make. */
  readonly onCommit: () => void
}

export class LetterBatchHandler {
  readonly #context: Pick<HostContext, 'emit'>
  readonly #database: HostDatabase
  readonly #mailHandler: MailHandler
  readonly #onHandled: (mail: FetchedMail, handled: Handled) => void
  readonly #onCommit: () => void

  constructor(
    context: Pick<HostContext, 'emit'>,
    { database, mailHandler, onHandled, onCommit }: LetterBatchOptions,
  ) {
    this.#context = context
    this.#database = database
    this.#mailHandler = mailHandler
    this.#onHandled = onHandled
    this.#onCommit = onCommit
  }

  /** In their order, until `isEnough`. Rejects with a Problem 'database' when letters must stay where they are;
   *  what was handled until then is done. */
  async handle(mails: readonly FetchedMail[], isEnough: () => boolean): Promise<void> {
    for (let at = 0; at < mails.length && !isEnough(); at += groupLetters) {
      const group: { readonly mail: FetchedMail; readonly one: PendingLetter }[] = []
      for (const mail of mails.slice(at, at + groupLetters)) {
        group.push({ mail, one: await this.#read(mail) })
        // Mails under way go on meanwhile: without this the mail server would wait for us, then we for it.
        await setImmediate()
      }
      const settled = await withDatabaseTurn(this.#database, () => {
        const handled = group.map(({ mail, one }) => ({ mail, one, handled: this.#settle(one) }))
        this.#mailHandler.closeGroup?.()
        return handled
      })
      for (const { mail, one, handled } of settled) {
        one.onCommit?.()
        this.#onHandled(mail, handled)
      }
      // A letter that was not admitted may have been declined by mail.
      if (settled.some(({ handled }) => handled.kind !== 'unknown')) this.#onCommit()
    }
  }

  async #read(mail: FetchedMail): Promise<PendingLetter> {
    try {
      return await this.#mailHandler.read(mail)
    } catch (thrown) {
      this.#emitFault(thrown)
      return { kind: 'unknown', settle: () => 'malformed' }
    }
  }

  /** Inside the group's transaction, in one of its own: a letter that our own code cannot stand leaves no trace,
   *  and does not keep all others waiting for ever. */
  #settle({ kind, settle }: PendingLetter): Handled {
    try {
      const reason = this.#database.transaction(settle)
      if (reason !== null) return { outcome: 'dropped', kind, reason }
      return kind === 'unknown'
        ? { outcome: 'dropped', kind, reason: 'malformed' }
        : { outcome: 'accepted', kind }
    } catch (thrown) {
      if (isDatabaseFailure(thrown)) throw thrown
      this.#emitFault(thrown)
      return { outcome: 'dropped', kind, reason: 'malformed' }
    }
  }

  #emitFault(thrown: unknown): void {
    if (thrown instanceof Problem && thrown.code === 'database') throw thrown
    this.#context.emit({ event: 'trouble', problem: internalProblem('A letter', thrown) })
  }
}
