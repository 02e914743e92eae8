// What is done with the mails of a batch: each is read and admitted, and either dropped under a reason or turned
// into a commit that holds everything that follows from it (design §5). Requests that wait together share one
// commit, because its sync to disk costs more than all the rest of it.

import { Problem } from '../base/problem.ts'
import type { LetterKind } from '../letter/kinds.ts'
import { checkProof } from '../letter/room.ts'
import type { FetchedMail } from '../mail/mailbox.ts'
import { admit } from '../table/admission.ts'
import type { DropReason } from './events.ts'
import { Outlook } from './outlook.ts'
import { type HostParts, internalProblem, withDatabase } from './parts.ts'
import { type Reading, readFetched } from './reading.ts'
import { type Plan, planLetter } from './taking.ts'

/** When this is told, whatever the letter asks for is on disk, or nothing of it; the mail can go. */
export type Handled =
  | { readonly outcome: 'accepted'; readonly kind: LetterKind }
  | { readonly outcome: 'dropped'; readonly kind: LetterKind | 'unknown'; readonly reason: DropReason }

/** Requests in one commit, at most. */
const groupLetters = 16

type Planned = { readonly mail: FetchedMail; readonly kind: LetterKind; readonly plan: Plan }

export type HandlerNotices = {
  readonly onHandled: (mail: FetchedMail, handled: Handled) => void
  /** There may be mails to send and introductions to make. */
  readonly onCommit: () => void
}

/** One mail by itself. */
export async function handleMail(parts: HostParts, mail: FetchedMail): Promise<Handled> {
  const results: Handled[] = []
  const notices = {
    onHandled: (_: FetchedMail, handled: Handled) => results.push(handled),
    onCommit: () => {},
  }
  await new Handler(parts, notices).handle([mail], () => false)
  const [handled] = results
  if (!handled) throw new Problem('internal', 'A letter was not handled.', 'Please report this.')
  return handled
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
      const group = mails.slice(at, at + groupLetters)
      const readings: Reading[] = []
      for (const mail of group) readings.push(await this.#read(mail))
      await this.#settle(group, readings)
    }
  }

  async #read(mail: FetchedMail): Promise<Reading> {
    try {
      return await readFetched(this.#parts, mail)
    } catch (thrown) {
      return this.#giveUp(thrown)
    }
  }

  /** One letter that our own code cannot stand must not keep all others waiting for ever. */
  #giveUp(thrown: unknown): Extract<Reading, { ok: false }> {
    if (thrown instanceof Problem && thrown.code === 'database') throw thrown
    this.#parts.emit({ event: 'trouble', problem: internalProblem('A letter', thrown) })
    return { ok: false, refusal: 'malformed' }
  }

  async #settle(group: readonly FetchedMail[], readings: readonly Reading[]): Promise<void> {
    let outlook = new Outlook(this.#parts.peers)
    let planned: Planned[] = []
    for (const [at, mail] of group.entries()) {
      const reading = readings[at]
      if (!reading) continue
      // Other kinds are rare and look at what requests have left, so those are committed before.
      const isRequest = reading.ok && reading.letter.kind === 'request'
      if (!isRequest) {
        this.#commit(planned)
        planned = []
        outlook = new Outlook(this.#parts.peers)
      }
      const plan = await this.#plan(mail, reading, outlook)
      if (plan !== null) planned.push(plan)
      if (!isRequest) {
        this.#commit(planned)
        planned = []
      }
    }
    this.#commit(planned)
  }

  /** Null when the mail is dropped. */
  async #plan(mail: FetchedMail, reading: Reading, outlook: Outlook): Promise<Planned | null> {
    if (!reading.ok) return this.#drop(mail, 'unknown', reading.refusal)
    const { kind } = reading.letter
    try {
      const admission = withDatabase(this.#parts.database, () => this.#admit(reading))
      if (!admission.admitted) return this.#drop(mail, kind, admission.reason)
      const plan = await planLetter(this.#parts, outlook, admission.letter, reading.mail.messageId)
      if (!plan.ok) return this.#drop(mail, kind, plan.reason)
      return { mail, kind, plan: plan.plan }
    } catch (thrown) {
      return this.#drop(mail, kind, this.#giveUp(thrown).refusal)
    }
  }

  #admit({ letter, mail }: Extract<Reading, { ok: true }>) {
    const { self, crypto, clock, seen, peers, settings } = this.#parts
    const wallNow = clock.wallNow()
    return admit(
      {
        letter,
        mailFrom: mail.from,
        mailDate: mail.date,
        wallNow,
        forgottenUntil: seen.forgottenUntil,
        rooms: self.rooms,
        isSeen: ({ from, id }) => seen.has(from, id),
        isProven: (request) => checkProof(crypto, request),
        isKnown: ({ room, from }) => peers.find(room, from, wallNow) !== null,
      },
      settings,
    )
  }

  /** One transaction: of each letter its ID and all its consequences, or nothing at all. */
  #commit(planned: readonly Planned[]): void {
    if (planned.length === 0) return
    const { database, seen } = this.#parts
    const copies = withDatabase(database, () =>
      database.transaction(() =>
        planned.map(({ plan }) => {
          const isCopy = !seen.remember(plan.letter.from, plan.letter.id, plan.letter.sentAt)
          if (!isCopy) plan.consequences()
          return isCopy
        }),
      ),
    )
    for (const [at, { mail, kind }] of planned.entries()) {
      if (copies[at]) this.#drop(mail, kind, 'copy')
      else this.#notices.onHandled(mail, { outcome: 'accepted', kind })
    }
    this.#notices.onCommit()
  }

  #drop(mail: FetchedMail, kind: LetterKind | 'unknown', reason: DropReason): null {
    this.#notices.onHandled(mail, { outcome: 'dropped', kind, reason })
    return null
  }
}
