// The loop between mailbox and table: one batch at a time, letters in their order. Wake-ups only say that it is
// worth looking; a sweep looks without them.

import { messageOf, Problem } from '../../base/problem.ts'
import { WakeableWait } from '../../base/wait.ts'
import type { FetchedMail, Mailbox } from '../../mail/mailbox.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { MailLeases } from '../../store/mail-leases.ts'
import type { SeenLetters } from '../../store/seen-letters.ts'
import type { HostContext } from '../context.ts'
import { withDatabase } from '../host-problems.ts'
import { LetterBatchHandler } from './letter-batch.ts'
import type { Handled, MailHandler } from './mail-handler.ts'

type MailboxReaderOptions = {
  readonly database: HostDatabase
  readonly seen: SeenLetters
  /** Null where no other process uses the same tables. */
  readonly leases: MailLeases | null
  readonly mailbox: Mailbox
}

type MailboxReaderHandlers = {
  readonly mailHandler: MailHandler
  /** A letter was committed: there may be mails to send and introductions to make. */
  readonly onCommit: () => void
}

export class MailboxReader {
  readonly #context: HostContext
  readonly #options: MailboxReaderOptions
  readonly #wait: WakeableWait
  /** There may be mail that was not looked at. */
  #dirty = true
  #isBusy = false
  #running: Promise<void> | null = null
  /** Dealt with, but not yet known to be out of the mailbox. */
  #finished: string[] = []
  /** Fetched and not yet known to be out of the mailbox; at most three batches. */
  #held = new Set<string>()
  #failures = 0
  #scannedAt: number | null = null

  constructor(context: HostContext, options: MailboxReaderOptions) {
    this.#context = context
    this.#options = options
    this.#wait = new WakeableWait(context.clock)
    const { mailbox, leases } = options
    if (leases) mailbox.claim = (refs) => this.#claim(leases, refs)
    mailbox.mayTakeNewest = (waiting) => this.#canRemember(waiting)
  }

  /** Whether letters are being worked off right now. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  /** When the mailbox was last found without letters for us, or emptied of them; monotonic ms. */
  get scannedAt(): number | null {
    return this.#scannedAt
  }

  start({ mailHandler, onCommit }: MailboxReaderHandlers): void {
    const batchHandler = new LetterBatchHandler(this.#context, {
      database: this.#options.database,
      mailHandler,
      onHandled: (mail, handled) => this.#note(mail, handled),
      onCommit,
    })
    this.#running ??= this.#run(mailHandler, batchHandler)
  }

  wake(): void {
    this.#dirty = true
    this.#wait.wake()
  }

  /** Resolves when the letter in hand is finished and, if the mailbox allows, removed. */
  async stop(): Promise<void> {
    this.#wait.stop()
    await this.#running
  }

  async #run(mailHandler: MailHandler, batchHandler: LetterBatchHandler): Promise<void> {
    while (!this.#wait.isStopped) {
      if (!this.#dirty) await this.#wait.sleep(this.#sweepMs)
      if (this.#wait.isStopped) break
      this.#dirty = false
      try {
        await this.#empty(mailHandler, batchHandler)
        this.#failures = 0
        this.#scannedAt = this.#context.clock.now()
      } catch (thrown) {
        await this.#recover(thrown)
      }
    }
    await this.#removeFinished().catch(() => undefined)
  }

  /** What other processes had in hand may be left by them when their leases end. */
  get #sweepMs(): number {
    const { settings } = this.#context
    return this.#options.leases ? Math.min(settings.sweepMs, settings.letterClaimMs) : settings.sweepMs
  }

  /** Until the mailbox has nothing more for us. The next batch is fetched and the last one removed while this one
   *  is worked on. */
  async #empty(mailHandler: MailHandler, batchHandler: LetterBatchHandler): Promise<void> {
    await this.#removeFinished()
    this.#held.clear()
    let coming = this.#fetch(mailHandler)
    let removing: Promise<void> = Promise.resolve()
    try {
      while (!this.#wait.isStopped) {
        const mails = await coming
        this.#isBusy = mails.length > 0
        if (mails.length === 0) break
        coming = this.#fetch(mailHandler)
        // Its failure is met when its turn comes.
        coming.catch(() => undefined)
        await batchHandler.handle(mails, () => this.#wait.isStopped)
        await removing
        removing = this.#removeFinished()
        removing.catch(() => undefined)
      }
    } finally {
      this.#isBusy = false
      await Promise.allSettled([coming, removing])
    }
    await removing
    // The outbox is full: what is in the mailbox stays there until mails have gone out.
    if (mailHandler.room() === 0) {
      await this.#wait.sleep(this.#context.settings.retryFirstMs)
      this.#dirty = true
    }
  }

  /** Nothing while the outbox is full: then letters wait in the mailbox. */
  async #fetch(mailHandler: MailHandler): Promise<readonly FetchedMail[]> {
    const { database, mailbox } = this.#options
    const room = withDatabase(database, () => mailHandler.room()) - (this.#held.size - this.#finished.length)
    if (room <= 0) return []
    const limit = Math.min(room, this.#context.settings.batchMails)
    const mails = await mailbox.fetch(limit, this.#held)
    for (const { ref } of mails) this.#held.add(ref)
    return mails
  }

  /** Letters that are older than one that was forgotten count as stale, whether taken or not: so none that waits may be
   *  overtaken by more than can be remembered beside it. */
  #canRemember(waiting: number): boolean {
    const { seen, database } = this.#options
    const remembered = withDatabase(database, () => seen.size)
    return remembered + waiting <= this.#context.settings.seenCapacity
  }

  #claim(leases: MailLeases, refs: readonly string[]): ReadonlySet<string> {
    const { self, settings, clock } = this.#context
    const now = clock.wallNow()
    // Processes of one database may have mailboxes of their own.
    const names = new Map(refs.map((ref) => [`${self.address} ${ref}`, ref]))
    const ours = withDatabase(this.#options.database, () =>
      leases.leaseLetters([...names.keys()], now, now + settings.letterClaimMs),
    )
    return new Set([...ours].flatMap((name) => names.get(name) ?? []))
  }

  #note(mail: FetchedMail, handled: Handled): void {
    this.#finished.push(mail.ref)
    this.#context.emit({ event: 'letter', ...handled })
  }

  async #removeFinished(): Promise<void> {
    const refs = [...this.#finished]
    if (refs.length === 0) return
    await this.#options.mailbox.remove(refs)
    this.#finished = this.#finished.slice(refs.length)
    for (const ref of refs) this.#held.delete(ref)
  }

  /** The mailbox supervises its own connection and wakes us when it is back; the rest here is for what it does
   *  not notice, and for the database. */
  async #recover(thrown: unknown): Promise<void> {
    const { emit } = this.#context
    if (thrown instanceof Problem && thrown.code === 'database') {
      emit({ event: 'trouble', problem: thrown })
      // Not cut short by wake-ups: new mail does not mend a disk.
      await this.#wait.pause(this.#backoffMs())
    } else {
      // A lost connection is told by the mailbox's own state.
      const problem = mailboxProblem(thrown)
      if (problem.code !== 'mail-connection') emit({ event: 'trouble', problem })
      await this.#wait.sleep(this.#backoffMs())
    }
    this.#dirty = true
  }

  #backoffMs(): number {
    const { retryFirstMs, sweepMs } = this.#context.settings
    return Math.min(sweepMs, retryFirstMs * 2 ** Math.min(this.#failures++, 10))
  }
}

function mailboxProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  const message = `The mailbox failed: ${messageOf(thrown)}.`
  return new Problem('mail-server', message, 'It is tried again by itself.', { cause: thrown })
}
