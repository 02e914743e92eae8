// The loop between mailbox and table: one worker, letters in their order. Wake-ups only say that it is
// worth looking; a sweep looks without them.

import { messageOf, Problem } from '../../base/problem.ts'
import type { FetchedMail, Mailbox } from '../../mail/mailbox.ts'
import type { MailLeases } from '../../store/mail-leases.ts'
import { type HostGround, withDatabase } from '../context.ts'
import { LetterBatchHandler } from './letter-batch.ts'
import type { Handled, LetterHandler } from './letter-handler.ts'

export type MailboxReaderNotices = {
  /** A letter was committed: there may be mails to send and introductions to make. */
  readonly onCommit: () => void
}

export class MailboxReader {
  readonly #parts: HostGround
  readonly #desk: LetterHandler
  readonly #mailbox: Mailbox
  readonly #handler: LetterBatchHandler
  /** There may be mail that was not looked at. */
  #dirty = true
  #stopping = false
  #inHand = false
  #ring: (() => void) | null = null
  #running: Promise<void> | null = null
  /** Dealt with, but not yet known to be out of the mailbox. */
  #finished: string[] = []
  /** Fetched and not yet known to be out of the mailbox; at most three batches. */
  #held = new Set<string>()
  #failures = 0
  #scannedAt: number | null = null

  constructor(parts: HostGround, mailbox: Mailbox, desk: LetterHandler, notices: MailboxReaderNotices) {
    this.#parts = parts
    this.#desk = desk
    this.#mailbox = mailbox
    const { claims } = parts
    if (claims) mailbox.lease = (refs) => this.#claim(claims, refs)
    mailbox.mayTakeNewest = (waiting) => this.#canRemember(waiting)
    this.#handler = new LetterBatchHandler(parts, desk, {
      onHandled: (mail, handled) => this.#note(mail, handled),
      onCommit: notices.onCommit,
    })
  }

  /** Whether letters are being worked off right now. */
  get isBusy(): boolean {
    return this.#inHand
  }

  /** When the mailbox was last found without letters for us, or emptied of them; monotonic ms. */
  get scannedAt(): number | null {
    return this.#scannedAt
  }

  start(): void {
    this.#running ??= this.#run()
  }

  wake(): void {
    this.#dirty = true
    this.#ring?.()
  }

  /** Resolves when the letter in hand is finished and, if the mailbox allows, removed. */
  async stop(): Promise<void> {
    this.#stopping = true
    this.#ring?.()
    await this.#running
  }

  async #run(): Promise<void> {
    while (!this.#stopping) {
      if (!this.#dirty) await this.#rest(this.#sweepMs)
      if (this.#stopping) break
      this.#dirty = false
      try {
        await this.#empty()
        this.#failures = 0
        this.#scannedAt = this.#parts.clock.now()
      } catch (thrown) {
        await this.#recover(thrown)
      }
    }
    await this.#removeFinished().catch(() => undefined)
  }

  /** What other processes had in hand may be left by them when their claims end. */
  get #sweepMs(): number {
    const { settings, claims } = this.#parts
    return claims ? Math.min(settings.sweepMs, settings.letterClaimMs) : settings.sweepMs
  }

  /** Until the mailbox has nothing more for us. The next batch is fetched and the last one removed while this one
   *  is worked on. */
  async #empty(): Promise<void> {
    await this.#removeFinished()
    this.#held.clear()
    let coming = this.#fetch()
    let removing: Promise<void> = Promise.resolve()
    try {
      while (!this.#stopping) {
        const mails = await coming
        this.#inHand = mails.length > 0
        if (mails.length === 0) break
        coming = this.#fetch()
        // Its failure is met when its turn comes.
        coming.catch(() => undefined)
        await this.#handler.handle(mails, () => this.#stopping)
        await removing
        removing = this.#removeFinished()
        removing.catch(() => undefined)
      }
    } finally {
      this.#inHand = false
      await Promise.allSettled([coming, removing])
    }
    await removing
    if (this.#desk.room() === 0) await this.#waitForRoom()
  }

  /** Nothing while the outbox is full: then letters wait in the mailbox. */
  async #fetch(): Promise<readonly FetchedMail[]> {
    const { settings, database } = this.#parts
    const room = withDatabase(database, () => this.#desk.room()) - (this.#held.size - this.#finished.length)
    if (room <= 0) return []
    const mails = await this.#mailbox.fetch(Math.min(room, settings.batchMails), this.#held)
    for (const { ref } of mails) this.#held.add(ref)
    return mails
  }

  /** Letters that are older than one that was forgotten count as stale, whether taken or not: so none that waits may be
   *  overtaken by more than can be remembered beside it. */
  #canRemember(waiting: number): boolean {
    const { seen, settings, database } = this.#parts
    return withDatabase(database, () => seen.size) + waiting <= settings.seenCapacity
  }

  #claim(claims: MailLeases, refs: readonly string[]): ReadonlySet<string> {
    const { self, settings, clock, database } = this.#parts
    const now = clock.wallNow()
    // Processes of one database may have mailboxes of their own.
    const names = new Map(refs.map((ref) => [`${self.address} ${ref}`, ref]))
    const ours = withDatabase(database, () =>
      claims.leaseLetters([...names.keys()], now, now + settings.letterClaimMs),
    )
    return new Set([...ours].flatMap((name) => names.get(name) ?? []))
  }

  #note(mail: FetchedMail, handled: Handled): void {
    this.#finished.push(mail.ref)
    this.#parts.emit({ event: 'letter', ...handled })
  }

  async #removeFinished(): Promise<void> {
    const refs = [...this.#finished]
    if (refs.length === 0) return
    await this.#mailbox.remove(refs)
    this.#finished = this.#finished.slice(refs.length)
    for (const ref of refs) this.#held.delete(ref)
  }

  /** The outbox is full: what is in the mailbox stays there until mails have gone out. */
  async #waitForRoom(): Promise<void> {
    await this.#rest(this.#parts.settings.retryFirstMs)
  }

  /** The mailbox supervises its own connection and wakes us when it is back; the rest here is for what it does
   *  not notice, and for the database. */
  async #recover(thrown: unknown): Promise<void> {
    const { emit } = this.#parts
    if (thrown instanceof Problem && thrown.code === 'database') {
      emit({ event: 'trouble', problem: thrown })
      // Not cut short by wake-ups: new mail does not mend a disk.
      await this.#rest(this.#backoffMs(), 'deaf')
    } else {
      // A lost connection is told by the mailbox's own state.
      const problem = mailboxProblem(thrown)
      if (problem.code !== 'mail-connection') emit({ event: 'trouble', problem })
      await this.#rest(this.#backoffMs())
    }
    this.#dirty = true
  }

  #backoffMs(): number {
    const { retryFirstMs, sweepMs } = this.#parts.settings
    return Math.min(sweepMs, retryFirstMs * 2 ** Math.min(this.#failures++, 10))
  }

  /** Until `forMs` have passed, somebody rings, or the end. */
  #rest(forMs: number, hearing: 'deaf' | 'alert' = 'alert'): Promise<void> {
    if (this.#stopping) return Promise.resolve()
    return new Promise((resolve) => {
      const finish = () => {
        cancel()
        this.#ring = null
        this.#dirty = true
        resolve()
      }
      const cancel = this.#parts.clock.after(forMs, finish)
      this.#ring = () => {
        if (hearing === 'alert' || this.#stopping) finish()
      }
    })
  }
}

function mailboxProblem(thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  const message = `The mailbox failed: ${messageOf(thrown)}.`
  return new Problem('mail-server', message, 'It is tried again by itself.', { cause: thrown })
}
