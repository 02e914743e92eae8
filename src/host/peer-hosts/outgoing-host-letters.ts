// Puts letters to the hosts that this one knows into the outbox.

import type { InviteHost } from '../../letter/invite.ts'
import type { SignalLetter, TableLetter, TableRequestLetter } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { SendBudget } from '../../store/send-budget.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import { encodeItems, type ItemKey } from '../../sync/item-version.ts'
import type { HostContext } from '../context.ts'
import type { OutboxSender } from '../outbox/outbox-sender.ts'
import { composeLetter, type HostLetter, peerHostLetterHead } from '../requests/compose-letter.ts'

type OutgoingHostLettersOptions = {
  readonly outbox: Outbox
  readonly budget: SendBudget
  readonly statements: SignedStatements
  readonly outboxSender: Pick<OutboxSender, 'pump'>
  /** How old a request may be so that its statement also names the peers that its agent was offered. */
  readonly offeredForMs: number
}

export class OutgoingHostLetters {
  readonly #context: HostContext
  readonly #options: OutgoingHostLettersOptions

  constructor(context: HostContext, options: OutgoingHostLettersOptions) {
    this.#context = context
    this.#options = options
  }

  /** Sends the signed statements of the entries under these keys, and `more`. An empty letter only announces that this host is
   *  awake. */
  enqueueTable(
    host: InviteHost,
    keys: readonly ItemKey[],
    more: Partial<Pick<TableLetter, 'introduce' | 'revoked'>> = {},
  ): void {
    const now = this.#context.clock.wallNow()
    const statements = keys.flatMap((key) => {
      const stored = this.#options.statements.get(key)
      if (stored === null) return []
      const { signed, flagged } = stored
      const ageMs = Math.min(limits.durationMs, Math.max(0, now - stored.acceptedAt))
      if (ageMs >= this.#options.offeredForMs) return [{ signed, flagged, ageMs }]
      return [{ signed, flagged, ageMs, offered: encodeItems(stored.offered) }]
    })
    this.#enqueue(host, { ...this.#head(host), kind: 'table', statements, introduce: [], ...more })
  }

  enqueueTableRequest(host: InviteHost, comparison: TableRequestLetter['comparison']): void {
    this.#enqueue(host, { ...this.#head(host), kind: 'table-request', comparison })
  }

  /** `signal.relay`: the agent that sealed the box, and how many more hosts may pass it on. */
  enqueueSignal(host: InviteHost, signal: Pick<SignalLetter, 'room' | 'peer' | 'box' | 'relay'>): void {
    this.#enqueue(host, { ...this.#head(host), kind: 'signal', ...signal })
  }

  #head({ identity }: InviteHost) {
    return peerHostLetterHead(this.#context, identity)
  }

  /** Drops the letter when the outbox is full or the day's budget is used up: the next comparison of the tables finds what is
   *  missing. */
  #enqueue(host: InviteHost, letter: HostLetter): void {
    const { outbox, budget, outboxSender } = this.#options
    const { clock } = this.#context
    if (outbox.freeSlots(letter.kind) === 0 || budget.left('normal', clock.wallNow()) === 0) return
    const recipient = { returnAddress: host.address, sessionKey: host.sealingKey }
    outbox.add(composeLetter(this.#context, letter, recipient), clock.wallNow())
    outboxSender.pump()
  }
}
