// What an agent's events tell of mailbox, letters and NAT, kept for whoever asks later.

import type { AgentEvent } from '../agent/events.ts'
import type { AgentStatus } from './agent-schemas.ts'
import { instant } from './agent-view.ts'

export class AgentNews {
  #mailbox: AgentStatus['mailbox']
  #lastRequest: AgentStatus['lastRequest'] = null
  #lastReply: AgentStatus['lastReply'] = null
  #isNatKnown = false

  /** `now`: Unix ms, here and below. */
  constructor(now: number) {
    this.#mailbox = { state: 'connecting', reason: null, since: instant(now) }
  }

  heard(event: AgentEvent, now: number): void {
    const at = instant(now)
    switch (event.event) {
      case 'mailbox': {
        const reason = event.state === 'disconnected' ? event.reason : null
        this.#mailbox = { state: event.state, reason, since: at }
        return
      }
      case 'nat':
        this.#isNatKnown = true
        return
      case 'requested':
        this.#lastRequest = { at }
        return
      case 'replied':
        this.#lastReply = { at, peers: event.peers, sinceRequestMs: event.sinceRequestMs }
        return
    }
  }

  /** The room was left: mailbox and sockets are closed. */
  closed(now: number): void {
    this.#mailbox = { state: 'closed', reason: null, since: instant(now) }
    this.#isNatKnown = false
  }

  /** Whether the NAT was looked at since the room was joined. */
  get isNatKnown(): boolean {
    return this.#isNatKnown
  }

  get letters(): Pick<AgentStatus, 'mailbox' | 'lastRequest' | 'lastReply'> {
    return { mailbox: this.#mailbox, lastRequest: this.#lastRequest, lastReply: this.#lastReply }
  }
}
