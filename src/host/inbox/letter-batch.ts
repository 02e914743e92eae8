// Handles a batch of mails: reads each, then settles several in one transaction, because the sync to disk costs more than
// all the rest. For each letter it is all or nothing.

import { setImmediate } from 'node:timers/promises'
import { Problem } from '../../base/problem.ts'
import type { FetchedMail } from '../../mail/mailbox.ts'
import { type HostDatabase, isDatabaseFailure } from '../../store/host-database.ts'
import type { HostContext } from '../context.ts'
import { internalProblem, withAsyncTransaction } from '../host-problems.ts'
import type { Handled, MailHandler, PendingLetter } from './mail-handler.ts'

/** The most letters in one transaction. */
const maxLettersInGroup = 16

type LetterBatchOptions = {
  readonly database: HostDatabase
  readonly mailHandler: MailHandler
  readonly onHandled: (mail: FetchedMail, handled: Handled) => void
  /** Letters were committed: there may be mails to send and introductions to make. */
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

  /** Handles the mails in their order until `isStopped`. Rejects with a Problem 'database' when the rest must stay in the
   *  mailbox; the groups before it are committed. */
  async handle(mails: readonly FetchedMail[], isStopped: () => boolean): Promise<void> {
    for (let at = 0; at < mails.length && !isStopped(); at += maxLettersInGroup) {
      const group: { readonly mail: FetchedMail; readonly letter: PendingLetter }[] = []
      for (const mail of mails.slice(at, at + maxLettersInGroup)) {
        group.push({ mail, letter: await this.#read(mail) })
        // Lets sending go on meanwhile. Without it the mail server would wait for us, and then we for it.
        await setImmediate()
      }
      const settled = await withAsyncTransaction(this.#database, () => {
        const results = group.map(({ mail, letter }) => ({ mail, letter, handled: this.#settle(letter) }))
        this.#mailHandler.closeGroup?.()
        return results
      })
      for (const { mail, letter, handled } of settled) {
        letter.onCommit?.()
        this.#onHandled(mail, handled)
      }
      // Also after dropped letters: a declined request gets a mail.
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

  /** Runs in a transaction of its own inside the group's. A letter on which our code fails leaves no trace and does not block
   *  the others. */
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
