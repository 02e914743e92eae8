// Takes the mails out of the mailbox and gives them to the handler: in batches, letters in their order.

import { messageOf, Problem } from '../../base/problem.ts'
import type { FetchedMail, Mailbox, MailboxHandlers } from '../../mail/mailbox.ts'
import { MailboxLoop, type Rest } from '../../mail/mailbox-loop.ts'
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
  readonly #loop: MailboxLoop
  #isBusy = false
  /** Dealt with, but not yet known to be out of the mailbox. */
  #finished: string[] = []
  /** Fetched and not yet known to be out of the mailbox; at most three batches. */
  #held = new Set<string>()
  #failures = 0
  #scannedAt: number | null = null

  constructor(context: HostContext, options: MailboxReaderOptions) {
    this.#context = context
    this.#options = options
    const { clock, settings } = context
    const { leases } = options
    this.#loop = new MailboxLoop({
      clock,
      // What other processes had in hand may be left by them when their leases end.
      sweepMs: leases ? Math.min(settings.sweepMs, settings.letterLeaseMs) : settings.sweepMs,
      restAfter: (thrown) => this.#restAfter(thrown),
    })
  }

  /** For the mailbox when it is opened. */
  get handlers(): Pick<MailboxHandlers, 'onWake' | 'lease' | 'mayTakeNewest'> {
    const { leases } = this.#options
    return {
      onWake: () => this.wake(),
      ...(leases && { lease: (refs: readonly string[]) => this.#claim(leases, refs) }),
      mayTakeNewest: (waiting) => this.#canRemember(waiting),
    }
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
    this.#loop.start(() => this.#look(mailHandler, batchHandler))
  }

  wake(): void {
    this.#loop.wake()
  }

  /** Resolves when the letter in hand is finished and, if the mailbox allows, removed. */
  async stop(): Promise<void> {
    await this.#loop.stop()
    await this.#removeFinished().catch(() => undefined)
  }

  async #look(mailHandler: MailHandler, batchHandler: LetterBatchHandler): Promise<Rest | null> {
    await this.#empty(mailHandler, batchHandler)
    // The outbox is full: what is in the mailbox stays there until mails have gone out.
    const isFull = mailHandler.room() === 0
    this.#failures = 0
    this.#scannedAt = this.#context.clock.now()
    return isFull ? { forMs: this.#context.settings.retryFirstMs, canBeWoken: true } : null
  }

  /** Until the mailbox has nothing more for us. The next batch is fetched and the last one removed while this one
   *  is worked on. */
  async #empty(mailHandler: MailHandler, batchHandler: LetterBatchHandler): Promise<void> {
    await this.#removeFinished()
    this.#held.clear()
    let coming = this.#fetch(mailHandler)
    let removing: Promise<void> = Promise.resolve()
    try {
      while (!this.#loop.isStopped) {
        const mails = await coming
        this.#isBusy = mails.length > 0
        if (mails.length === 0) break
        coming = this.#fetch(mailHandler)
        // Its failure is met when its turn comes.
        coming.catch(() => undefined)
        await batchHandler.handle(mails, () => this.#loop.isStopped)
        await removing
        removing = this.#removeFinished()
        removing.catch(() => undefined)
      }
    } finally {
      this.#isBusy = false
      await Promise.allSettled([coming, removing])
    }
    await removing
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
      leases.leaseLetters([...names.keys()], now, now + settings.letterLeaseMs),
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
  #restAfter(thrown: unknown): Rest {
    const { emit } = this.#context
    if (thrown instanceof Problem && thrown.code === 'database') {
      emit({ event: 'trouble', problem: thrown })
      // Not cut short by wake-ups: new mail does not mend a disk.
      return { forMs: this.#backoffMs(), canBeWoken: false }
    }
    // A lost connection is told by the mailbox's own state.
    const problem = mailboxProblem(thrown)
    if (problem.code !== 'mail-connection') emit({ event: 'trouble', problem })
    return { forMs: this.#backoffMs(), canBeWoken: true }
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
