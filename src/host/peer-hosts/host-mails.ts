// Letters to the hosts that this one knows, as mails in the outbox.

import type { InviteHost } from '../../letter/invite.ts'
import type { TableLetter, TableRequestLetter } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import type { Outbox } from '../../store/outbox.ts'
import type { SendBudget } from '../../store/send-budget.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import { encodeItems, type ItemKey } from '../../sync/item-version.ts'
import type { HostContext } from '../context.ts'
import type { OutboxSender } from '../outbox/outbox-sender.ts'
import { freezeLetter, type HostLetter, letterHeadBetweenHosts } from '../requests/compose-letter.ts'
import { lateMs, type RelayedSignal } from './host-letters.ts'

type HostMailsOptions = {
  readonly outbox: Outbox
  readonly budget: SendBudget
  readonly statements: SignedStatements
  readonly outboxSender: Pick<OutboxSender, 'pump'>
}

export class HostMails {
  readonly #context: HostContext
  readonly #options: HostMailsOptions

  constructor(context: HostContext, options: HostMailsOptions) {
    this.#context = context
    this.#options = options
  }

  /** What was signed of the entries under these keys, and more. With nothing in it, it says only that its sender is awake. */
  enqueueTable(
    host: InviteHost,
    keys: readonly ItemKey[],
    more: Partial<Pick<TableLetter, 'introduce' | 'revoked'>> = {},
  ): void {
    const { statements } = this.#options
    const now = this.#context.clock.wallNow()
    const told = keys.flatMap((key) => {
      const told = statements.get(key)
      if (told === null) return []
      const { signed, flagged } = told
      const ageMs = Math.min(limits.durationMs, Math.max(0, now - told.acceptedAt))
      if (ageMs >= lateMs) return [{ signed, flagged, ageMs }]
      return [{ signed, flagged, ageMs, offered: encodeItems(told.offered) }]
    })
    this.#enqueue(host, { ...this.#head(host), kind: 'table', statements: told, introduce: [], ...more })
  }

  enqueueTableRequest(host: InviteHost, comparison: TableRequestLetter['comparison']): void {
    this.#enqueue(host, { ...this.#head(host), kind: 'table-request', comparison })
  }

  enqueueSignal(host: InviteHost, signal: RelayedSignal): void {
    this.#enqueue(host, { ...this.#head(host), kind: 'signal', ...signal })
  }

  #head({ identity }: InviteHost) {
    return letterHeadBetweenHosts(this.#context, identity)
  }

  /** Into the outbox, unless that is full: then the next comparison finds what is missing. */
  #enqueue(host: InviteHost, letter: HostLetter): void {
    const { outbox, budget, outboxSender } = this.#options
    const { clock } = this.#context
    if (outbox.freeSlots(letter.kind) === 0 || budget.left('normal', clock.wallNow()) === 0) return
    const recipient = { returnAddress: host.address, sessionKey: host.sealingKey }
    outbox.add(freezeLetter(this.#context, letter, recipient), clock.wallNow())
    outboxSender.pump()
  }
}
