// An agent as it is watched and steered: it can leave the room and join again, which takes a new agent each time.

import type { Agent, AgentEvent } from '../agent/agent.ts'
import type { PeerName } from '../agent/events.ts'
import { toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { messageOf, Problem } from '../base/problem.ts'
import { readUserId } from '../letter/user-id.ts'
import type { AgentStatus, PeerStatus } from './agent-schemas.ts'
import { instant, natOf, peerOf } from './agent-view.ts'
import { Fault } from './fault.ts'
import type { Standing, Standings } from './standings.ts'

export type ControlledAgent = Pick<Agent, 'start' | 'stop' | 'report' | 'askAgain' | 'connect' | 'disconnect'>

export type AgentControlOptions = {
  readonly clock: Clock
  /** A new one, not started; it tells `onEvent`. */
  readonly makeAgent: (onEvent: (event: AgentEvent) => void) => ControlledAgent
  readonly standings: Standings
  readonly name: string
  readonly id: string
  readonly room: string
  /** Null when it may not be passed on. */
  readonly invite: string | null
  readonly exposes: readonly string[]
  readonly forwards: readonly string[]
  readonly onEvent: (event: AgentEvent) => void
}

type Dated<Value> = Value & { readonly at: number }

export class AgentControl {
  readonly #options: AgentControlOptions
  readonly #startedAt: number
  #agent: ControlledAgent | null = null
  #state: AgentStatus['state'] = 'starting'
  #stateAt: number
  #trouble: AgentStatus['trouble'] = null
  /** Whether the NAT was looked at since the room was joined. */
  #isNatKnown = false
  #mailbox: Dated<Omit<AgentStatus['mailbox'], 'since'>>
  #lastRequest: { readonly at: number } | null = null
  #lastReply: Dated<{ readonly peers: number; readonly sinceRequestMs: number }> | null = null
  /** Of leaving, or of joining in the background. */
  #work: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: AgentControlOptions) {
    this.#options = options
    this.#startedAt = options.clock.wallNow()
    this.#stateAt = this.#startedAt
    this.#mailbox = { state: 'connecting', reason: null, at: this.#startedAt }
  }

  /** Joins for the first time. Rejects with a Problem; resolves early when stopped meanwhile. */
  start(): Promise<void> {
    return this.#start()
  }

  /** Leaves for good; everything is closed afterwards. */
  async stop(): Promise<void> {
    this.#stopped = true
    const agent = this.#agent
    await Promise.all([agent?.stop(), this.#work])
  }

  /** Says goodbye to players and host. The agent goes on without the room until it joins again. */
  leave(): AgentStatus['state'] | Fault {
    const agent = this.#agent
    if (!agent || this.#state === 'leaving' || this.#state === 'left') return this.#state
    this.#become('leaving')
    this.#work = agent.stop().then(() => this.#left(null))
    return this.#state
  }

  /** Comes back to the room, or asks the host again while in it. */
  join(): AgentStatus['state'] | Fault {
    switch (this.#state) {
      case 'joined':
        this.#agent?.askAgain()
        return this.#state
      case 'leaving':
        return new Fault(409, 'leaving', 'The room is just being left.', 'Try again in a few seconds.')
      case 'starting':
        return this.#state
      case 'left':
        if (!this.#stopped) this.#work = this.#start().catch((thrown) => this.#left(thrown))
        return this.#state
    }
  }

  connect(text: string): Fault | null {
    const found = this.#find(text)
    if (found instanceof Fault) return found
    if (this.#options.standings.of(found.id) === 'blocked') {
      return new Fault(409, 'blocked', `${found.name ?? text} is blocked.`, 'Unblock this player first.')
    }
    return this.#withAgent((agent, id) => {
      this.#options.standings.recall(found.id)
      agent.connect(id, { id: found.id, name: found.name ?? found.id.slice(0, 8) })
    }, found.id)
  }

  disconnect(text: string): Fault | null {
    const found = this.#find(text)
    if (found instanceof Fault) return found
    return this.#withAgent((agent, id) => {
      this.#options.standings.dismiss(found.id)
      agent.disconnect(id)
    }, found.id)
  }

  setStanding(text: string, standing: Standing): Fault | null {
    const found = this.#find(text)
    if (found instanceof Fault) return found
    this.#options.standings.set(found, standing)
    const id = readUserId(found.id)
    if (standing === 'blocked' && id) this.#agent?.disconnect(id)
    return null
  }

  status(): AgentStatus {
    const { name, id, room, invite, exposes, forwards } = this.#options
    const report = this.#agent?.report
    const { at, ...mailbox } = this.#mailbox
    const reply = this.#lastReply
    return {
      role: 'agent',
      ...{ name, id, room },
      startedAt: instant(this.#startedAt),
      state: this.#state,
      since: instant(this.#stateAt),
      trouble: this.#trouble,
      mailbox: { ...mailbox, since: instant(at) },
      lastRequest: this.#lastRequest && { at: instant(this.#lastRequest.at) },
      lastReply: reply && { at: instant(reply.at), peers: reply.peers, sinceRequestMs: reply.sinceRequestMs },
      nat: report && this.#isNatKnown ? natOf(report) : null,
      hasInvite: invite !== null,
      exposes: [...exposes],
      forwards: [...forwards],
    }
  }

  peers(): readonly PeerStatus[] {
    const { clock, standings } = this.#options
    const [now, wallNow] = [clock.now(), clock.wallNow()]
    const at = (monotonic: number) => instant(wallNow - (now - monotonic))
    return (this.#agent?.report.peers ?? []).map((entry) => peerOf(entry, standings.of(entry.peer.id), at))
  }

  peer(text: string): PeerStatus | Fault {
    const found = this.#find(text)
    if (found instanceof Fault) return found
    const peer = this.peers().find(({ id }) => id === found.id)
    return peer ?? new Fault(404, 'unknown-peer', 'This player is not known.', 'Name a player of the list.')
  }

  get standings(): Pick<Standings, 'list'> {
    return this.#options.standings
  }

  get invite(): string | null {
    return this.#options.invite
  }

  async #start(): Promise<void> {
    this.#become('starting')
    this.#trouble = null
    this.#mailbox = { state: 'connecting', reason: null, at: this.#stateAt }
    this.#agent = this.#options.makeAgent((event) => this.#heard(event))
    await this.#agent.start()
  }

  #left(thrown: unknown): void {
    this.#become('left')
    this.#isNatKnown = false
    this.#mailbox = { state: 'closed', reason: null, at: this.#stateAt }
    if (thrown === null) this.#options.onEvent({ event: 'left' })
    else {
      const problem = thrown instanceof Problem ? thrown : null
      this.#trouble = { message: problem?.message ?? messageOf(thrown), remedy: problem?.remedy ?? '' }
      this.#options.onEvent({ event: 'notice', notice: problem?.line ?? messageOf(thrown) })
    }
  }

  #heard(event: AgentEvent): void {
    const at = this.#options.clock.wallNow()
    switch (event.event) {
      case 'ready':
        this.#become('joined')
        break
      case 'mailbox':
        this.#mailbox = {
          state: event.state,
          reason: event.state === 'disconnected' ? event.reason : null,
          at,
        }
        break
      case 'nat':
        this.#isNatKnown = true
        break
      case 'requested':
        this.#lastRequest = { at }
        break
      case 'replied':
        this.#lastReply = { at, peers: event.peers, sinceRequestMs: event.sinceRequestMs }
        break
    }
    this.#options.onEvent(event)
  }

  #become(state: AgentStatus['state']): void {
    this.#state = state
    this.#stateAt = this.#options.clock.wallNow()
  }

  #withAgent(work: (agent: ControlledAgent, id: Uint8Array) => void, text: string): Fault | null {
    const id = readUserId(text)
    if (this.#state !== 'joined' || !this.#agent || !id) {
      return new Fault(409, 'not-joined', 'The agent is not in the room now.', 'Join the room first.')
    }
    work(this.#agent, id)
    return null
  }

  /** By user ID, known or not, or by the name of somebody known. */
  #find(text: string): { readonly id: string; readonly name: string | null } | Fault {
    const known: PeerName[] = (this.#agent?.report.peers ?? []).map(({ peer }) => peer)
    const id = readUserId(text)
    if (id) {
      const found = known.find((peer) => toHex(readUserId(peer.id) ?? id) === toHex(id))
      return found ?? { id: text.toLowerCase(), name: null }
    }
    const [first, ...others] = known.filter(({ name }) => name === text)
    if (!first) {
      return new Fault(404, 'unknown-peer', `Nobody called "${text}" is known.`, 'Name a player of the list.')
    }
    if (others.length === 0) return first
    return new Fault(409, 'ambiguous', `Several players are called "${text}".`, 'Name one by the user ID.')
  }
}
