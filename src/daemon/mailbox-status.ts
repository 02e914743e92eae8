// The state of the mailbox as a status shows it, and since when it is in this state.

import type { AgentEvent } from '../agent/events.ts'
import type { AgentStatus } from './agent-schemas.ts'
import { instant } from './agent-status.ts'

export type ShownMailbox = AgentStatus['mailbox']

export class MailboxStatus {
  #shown: ShownMailbox

  /** `now` is Unix ms, here and below. */
  constructor(now: number) {
    this.#shown = { state: 'connecting', reason: null, since: instant(now) }
  }

  handle(event: Extract<AgentEvent, { readonly event: 'mailbox' }>, now: number): void {
    const reason = event.state === 'disconnected' ? event.reason : null
    // Each failed attempt to connect is an event of its own; the connection is lost since the first one.
    const since = event.state === this.#shown.state ? this.#shown.since : instant(now)
    this.#shown = { state: event.state, reason, since }
  }

  /** The program has closed the mailbox. */
  close(now: number): void {
    this.#shown = { state: 'closed', reason: null, since: instant(now) }
  }

  get shown(): ShownMailbox {
    return this.#shown
  }
}
