// Fetches mails from the mailbox in batches, passes them to the handler in their order, and removes them afterwards.

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
  /** Null when no other process uses the same tables. */
  readonly leases: MailLeases | null
  readonly mailbox: Mailbox
}

type MailboxReaderHandlers = {
  readonly mailHandler: MailHandler
  /** Letters were committed: there may be mails to send and introductions to make. */
  readonly onCommit: () => void
}

export class MailboxReader {
  readonly #context: HostContext
  readonly #options: MailboxReaderOptions
  readonly #loop: MailboxLoop
  #isBusy = false
  /** Refs of mails that are handled but not yet removed. */
  #finished: string[] = []
  /** Refs of mails that are fetched but not yet removed; at most three batches. */
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
      // A lease may end because its process was killed. Its mails are then ours to handle.
      sweepMs: leases ? Math.min(settings.sweepMs, settings.letterLeaseMs) : settings.sweepMs,
      restAfter: (thrown) => this.#restAfter(thrown),
    })
  }

  /** For the mailbox when it is opened. */
  get handlers(): Pick<MailboxHandlers, 'onWake' | 'lease' | 'mayTakeNewest'> {
    const { leases } = this.#options
    return {
      onWake: () => this.wake(),
      ...(leases && { lease: (refs: readonly string[]) => this.#lease(leases, refs) }),
      mayTakeNewest: (waiting) => this.#canRemember(waiting),
    }
  }

  /** Whether a batch of letters is being handled right now. */
  get isBusy(): boolean {
    return this.#isBusy
  }

  /** When the mailbox last held no more letters for us, in monotonic ms; null before the first time. */
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
    this.#loop.start(() => this.#scan(mailHandler, batchHandler))
  }

  wake(): void {
    this.#loop.wake()
  }

  /** Resolves when the current letters are handled and, if the mailbox answers, removed. */
  async stop(): Promise<void> {
    await this.#loop.stop()
    await this.#removeFinished().catch(() => undefined)
  }

  async #scan(mailHandler: MailHandler, batchHandler: LetterBatchHandler): Promise<Rest | null> {
    await this.#empty(mailHandler, batchHandler)
    // When the outbox is full, letters stay in the mailbox until mails are sent.
    const isFull = mailHandler.freeSlots() === 0
    this.#failures = 0
    this.#scannedAt = this.#context.clock.now()
    return isFull ? { forMs: this.#context.settings.retryFirstMs, canBeWoken: true } : null
  }

  /** Runs until the mailbox has no more letters. While one batch is handled, the next one is fetched and the last one
   *  removed. */
  async #empty(mailHandler: MailHandler, batchHandler: LetterBatchHandler): Promise<void> {
    await this.#removeFinished()
    this.#held.clear()
    let fetching = this.#fetch(mailHandler)
    let removing: Promise<void> = Promise.resolve()
    try {
      while (!this.#loop.isStopped) {
        const mails = await fetching
        this.#isBusy = mails.length > 0
        if (mails.length === 0) break
        fetching = this.#fetch(mailHandler)
        // A failure is thrown where the promise is awaited.
        fetching.catch(() => undefined)
        await batchHandler.handle(mails, () => this.#loop.isStopped)
        await removing
        removing = this.#removeFinished()
        removing.catch(() => undefined)
      }
    } finally {
      this.#isBusy = false
      await Promise.allSettled([fetching, removing])
    }
    await removing
  }

  /** Fetches nothing while the outbox is full. */
  async #fetch(mailHandler: MailHandler): Promise<readonly FetchedMail[]> {
    const { database, mailbox } = this.#options
    const unhandled = this.#held.size - this.#finished.length
    const free = withDatabase(database, () => mailHandler.freeSlots()) - unhandled
    if (free <= 0) return []
    const limit = Math.min(free, this.#context.settings.batchMails)
    const mails = await mailbox.fetch(limit, this.#held)
    for (const { ref } of mails) this.#held.add(ref)
    return mails
  }

  /** Whether the newest mails may be handled before older ones that wait. A letter older than a forgotten ID counts as stale.
   *  So no ID may be forgotten before the older letters are handled. */
  #canRemember(waiting: number): boolean {
    const { seen, database } = this.#options
    const remembered = withDatabase(database, () => seen.size)
    return remembered + waiting <= this.#context.settings.seenCapacity
  }

  #lease(leases: MailLeases, refs: readonly string[]): ReadonlySet<string> {
    const { self, settings, clock } = this.#context
    const now = clock.wallNow()
    // Processes that share the database may have different mailboxes.
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

  /** The mailbox supervises its own connection and wakes us when it is back. This pause is for failures that it does not
   *  notice, and for the database. */
  #restAfter(thrown: unknown): Rest {
    const { emit } = this.#context
    if (thrown instanceof Problem && thrown.code === 'database') {
      emit({ event: 'trouble', problem: thrown })
      // New mail does not repair a disk, so a wake-up does not end this pause.
      return { forMs: this.#backoffMs(), canBeWoken: false }
    }
    // The mailbox's state event already reports a lost connection.
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
