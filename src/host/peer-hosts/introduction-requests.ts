// Introductions that other hosts are asked to make, because one of the two agents does not know this host (A13): gathered for a
// moment, so that several go in one letter.

import type { InviteHost } from '../../letter/invite.ts'
import type { IntroductionRequest } from '../../letter/letter-types.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import type { ItemKey } from '../../sync/item-version.ts'
import { type HostId, syncLimits } from '../../sync/table-sync.ts'
import type { HostContext } from '../context.ts'
import { tryDatabase } from '../host-problems.ts'
import type { HostMails } from './host-mails.ts'

/** To one host, waiting; beyond it they are lost, as a lost mail would be. */
const mostWishes = 1_024
/** Each with what its requester signed. */
const wishesInLetter = 16
/** That one takes in a letter. */
const requestBytes = 128

type IntroductionRequestsOptions = {
  readonly hosts: ReadonlyMap<HostId, InviteHost>
  readonly database: HostDatabase
  readonly statements: SignedStatements
  readonly hostMails: HostMails
}

export class IntroductionRequests {
  readonly #context: HostContext
  readonly #options: IntroductionRequestsOptions
  readonly #waiting = new Map<HostId, IntroductionRequest[]>()
  #cancelTimer: (() => void) | null = null
  #isRunning = false

  constructor(context: HostContext, options: IntroductionRequestsOptions) {
    this.#context = context
    this.#options = options
  }

  start(): void {
    this.#isRunning = true
  }

  stop(): void {
    this.#isRunning = false
    this.#cancelTimer?.()
  }

  /** Goes a little later, for others may follow and the statement of the requester has to be there first. */
  add(to: HostId, request: IntroductionRequest): void {
    const requests = this.#waiting.get(to) ?? []
    if (requests.length < mostWishes) requests.push(request)
    this.#waiting.set(to, requests)
    if (!this.#isRunning || this.#cancelTimer) return
    const { clock, settings } = this.#context
    const { database } = this.#options
    this.#cancelTimer = clock.after(settings.introductionWindowMs, () => {
      this.#cancelTimer = null
      tryDatabase(this.#context, database, () => database.transaction(() => this.#enqueueAll()))
    })
  }

  #enqueueAll(): void {
    for (const [to, requests] of this.#waiting) {
      const host = this.#options.hosts.get(to)
      for (let at = 0; host && at < requests.length; at += wishesInLetter)
        this.#enqueue(host, requests.slice(at, at + wishesInLetter))
    }
    this.#waiting.clear()
  }

  /** With what the requesters signed, in case the other host has not heard it; in as many letters as that needs. */
  #enqueue(host: InviteHost, introduce: readonly IntroductionRequest[]): void {
    const { statements, hostMails } = this.#options
    let keys = new Set<ItemKey>()
    let requests: IntroductionRequest[] = []
    let bytes = 0
    for (const request of introduce) {
      const key = statements.keyOf(request.room, request.requester)
      const more = requestBytes + (keys.has(key) ? 0 : (statements.statementBytes(key) ?? 0))
      if (requests.length > 0 && bytes + more > syncLimits.letterBytes) {
        hostMails.enqueueTable(host, [...keys], { introduce: requests })
        keys = new Set()
        requests = []
        bytes = 0
      }
      keys.add(key)
      requests.push(request)
      bytes += more
    }
    hostMails.enqueueTable(host, [...keys], { introduce: requests })
  }
}
