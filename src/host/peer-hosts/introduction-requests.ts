// Asks other hosts for introductions to agents that do not know this host (A13). Requests are collected for a moment, so that
// several go in one letter.

import type { InviteHost } from '../../letter/invite.ts'
import type { IntroductionRequest } from '../../letter/letter-types.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { SignedStatements } from '../../store/signed-statements.ts'
import type { ItemKey } from '../../sync/item-version.ts'
import { type HostId, syncLimits } from '../../sync/table-sync.ts'
import type { HostContext } from '../context.ts'
import { tryDatabase } from '../host-problems.ts'
import type { OutgoingHostLetters } from './outgoing-host-letters.ts'

/** The most waiting requests for one host. More are dropped, as if their mail were lost. */
const maxWaiting = 1_024
/** Each comes with the signed statement of its requester. */
const maxRequestsInLetter = 16
/** The size of one request in a letter, at most. */
const requestBytes = 128

type IntroductionRequestsOptions = {
  readonly hosts: ReadonlyMap<HostId, InviteHost>
  readonly database: HostDatabase
  readonly statements: SignedStatements
  readonly outgoingLetters: OutgoingHostLetters
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

  /** The request is sent a moment later: more may follow, and the statement of the requester must be stored first. */
  add(to: HostId, request: IntroductionRequest): void {
    const requests = this.#waiting.get(to) ?? []
    if (requests.length < maxWaiting) requests.push(request)
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
      for (let at = 0; host && at < requests.length; at += maxRequestsInLetter)
        this.#enqueue(host, requests.slice(at, at + maxRequestsInLetter))
    }
    this.#waiting.clear()
  }

  /** Adds the statements of the requesters, as the other host may not have them yet. Splits into several letters when
   *  needed. */
  #enqueue(host: InviteHost, introduce: readonly IntroductionRequest[]): void {
    const { statements, outgoingLetters } = this.#options
    let keys = new Set<ItemKey>()
    let requests: IntroductionRequest[] = []
    let bytes = 0
    for (const request of introduce) {
      const key = statements.keyOf(request.room, request.requester)
      const more = requestBytes + (keys.has(key) ? 0 : (statements.statementBytes(key) ?? 0))
      if (requests.length > 0 && bytes + more > syncLimits.letterBytes) {
        outgoingLetters.enqueueTable(host, [...keys], { introduce: requests })
        keys = new Set()
        requests = []
        bytes = 0
      }
      keys.add(key)
      requests.push(request)
      bytes += more
    }
    outgoingLetters.enqueueTable(host, [...keys], { introduce: requests })
  }
}
