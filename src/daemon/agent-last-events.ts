// Keeps the latest state of mailbox, letters and NAT from the events of an agent, for its status.

import type { AgentEvent } from '../agent/events.ts'
import { Problem } from '../base/problem.ts'
import { declineWords } from '../wording/event-text.ts'
import type { AgentStatus } from './agent-schemas.ts'
import { instant } from './agent-status.ts'
import { MailboxStatus } from './mailbox-status.ts'

export class AgentLastEvents {
  readonly #mailbox: MailboxStatus
  #lastRequest: AgentStatus['lastRequest'] = null
  #lastReply: AgentStatus['lastReply'] = null
  #declined: AgentStatus['declined'] = null
  #isNatKnown = false

  /** `now` is Unix ms, here and below. */
  constructor(now: number) {
    this.#mailbox = new MailboxStatus(now)
  }

  handleEvent(event: AgentEvent, now: number): void {
    const at = instant(now)
    switch (event.event) {
      case 'mailbox':
        this.#mailbox.handle(event, now)
        return
      case 'nat':
        this.#isNatKnown = true
        return
      case 'requested':
        this.#lastRequest = { at }
        return
      case 'replied':
        this.#lastReply = { at, peers: event.peers, sinceRequestMs: event.sinceRequestMs }
        // One host that answers is enough, even if another one has declined.
        this.#declined = null
        return
      case 'declined':
        this.#declined = {
          at,
          reason: event.reason,
          words: declineWords(event.reason),
          againAt: instant(now + event.againInMs),
        }
        return
    }
  }

  /** Called when the room was left: mailbox and sockets are closed. */
  closed(now: number): void {
    this.#mailbox.close(now)
    this.#isNatKnown = false
    this.#declined = null
  }

  /** Whether the NAT was measured since the room was joined. */
  get isNatKnown(): boolean {
    return this.#isNatKnown
  }

  /** Why the agent must wait before it asks the host again. Null when it need not wait. */
  declinedAt(now: number): Problem | null {
    if (!this.#declined || Date.parse(this.#declined.againAt) <= now) return null
    const { words, againAt } = this.#declined
    return new Problem('declined', words, `The host is asked again by itself at ${againAt}.`)
  }

  get letters(): Pick<AgentStatus, 'mailbox' | 'lastRequest' | 'lastReply' | 'declined'> {
    return {
      mailbox: this.#mailbox.shown,
      lastRequest: this.#lastRequest,
      lastReply: this.#lastReply,
      declined: this.#declined,
    }
  }
}
