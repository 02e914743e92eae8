// Controls an agent and reports its status. The agent can leave the room and join again; each join creates a new Agent.

import type { Agent, AgentEvent } from '../agent/agent.ts'
import type { PeerName } from '../agent/events.ts'
import { toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import { messageOf, Problem } from '../base/problem.ts'
import type { Forward } from '../forward/forward-types.ts'
import { forwardText, parseForwards } from '../forward/parse-forwards.ts'
import { readUserId } from '../letter/user-id.ts'
import { agentMetrics, agentUnready } from './agent-health.ts'
import { AgentLastEvents } from './agent-last-events.ts'
import type { AgentStatus, PeerStatus } from './agent-schemas.ts'
import { instant, natStatus, peerStatus } from './agent-status.ts'
import type { FriendsAndBlocked, Standing } from './friends-and-blocked.ts'
import type { Metric } from './metrics.ts'

export type ControlledAgent = Pick<
  Agent,
  'start' | 'stop' | 'report' | 'requestSoon' | 'connect' | 'disconnect' | 'addForward' | 'removeForward'
>

export type AgentControlOptions = {
  readonly clock: Clock
  /** Returns a new agent that is not started and emits its events to `onEvent`. */
  readonly makeAgent: (onEvent: (event: AgentEvent) => void, forwards: readonly Forward[]) => ControlledAgent
  readonly friendsAndBlocked: FriendsAndBlocked
  readonly name: string
  readonly id: string
  readonly room: string
  /** Null when the invite may not be passed on. */
  readonly invite: string | null
  readonly exposes: readonly string[]
  readonly forwards: readonly Forward[]
  readonly onEvent: (event: AgentEvent) => void
}

/** The settings that can change while an agent runs. */
export type AgentConfigured = {
  /** User IDs. */
  readonly friends: readonly string[]
  readonly blocked: readonly string[]
  readonly forwards: readonly Forward[]
}

function notJoinedProblem(): Problem {
  return new Problem('not-joined', 'The agent is not in the room now.', 'Join the room first.')
}

export class AgentControl {
  readonly #options: AgentControlOptions
  readonly #startedAt: number
  #agent: ControlledAgent | null = null
  #forwards: readonly Forward[]
  /** The forwards of the config, as text. */
  #configured: ReadonlySet<string>
  #state: AgentStatus['state'] = 'starting'
  #stateAt: number
  #trouble: AgentStatus['trouble'] = null
  #lastEvents: AgentLastEvents
  /** Leaving, or joining in the background. */
  #work: Promise<void> = Promise.resolve()
  #stopped = false

  constructor(options: AgentControlOptions) {
    this.#options = options
    this.#forwards = options.forwards
    this.#configured = new Set(options.forwards.map(forwardText))
    this.#startedAt = options.clock.wallNow()
    this.#stateAt = this.#startedAt
    this.#lastEvents = new AgentLastEvents(this.#startedAt)
  }

  /** Joins for the first time. Rejects with a Problem. Resolves early when `stop` is called meanwhile. */
  start(): Promise<void> {
    return this.#start()
  }

  /** Leaves for good and closes everything. */
  async stop(): Promise<void> {
    this.#stopped = true
    const agent = this.#agent
    await Promise.all([agent?.stop(), this.#work])
  }

  /** Sends a goodbye to players and host. The program goes on without the room until `join`. */
  leave(): AgentStatus['state'] {
    const agent = this.#agent
    if (!agent || this.#state === 'leaving' || this.#state === 'left') return this.#state
    this.#setState('leaving')
    this.#work = agent.stop().then(() => this.#handleLeft(null))
    return this.#state
  }

  /** Joins the room again. In the room it asks the host again. */
  join(): AgentStatus['state'] | Problem {
    switch (this.#state) {
      case 'joined':
        this.#agent?.requestSoon()
        return this.#lastEvents.declinedAt(this.#options.clock.wallNow()) ?? this.#state
      case 'leaving':
        return new Problem('leaving', 'The room is just being left.', 'Try again in a few seconds.')
      case 'starting':
        return this.#state
      case 'left':
        if (!this.#stopped) this.#work = this.#start().catch((thrown) => this.#handleLeft(thrown))
        return this.#state
    }
  }

  connect(text: string): Problem | null {
    const found = this.#find(text)
    if (found instanceof Problem) return found
    if (this.#options.friendsAndBlocked.of(found.id) === 'blocked') {
      return new Problem('blocked', `${found.name ?? text} is blocked.`, 'Unblock this player first.')
    }
    return this.#withAgent((agent, id) => {
      this.#options.friendsAndBlocked.readmit(found.id)
      agent.connect(id, { id: found.id, name: found.name ?? found.id.slice(0, 8) })
    }, found.id)
  }

  disconnect(text: string): Problem | null {
    const found = this.#find(text)
    if (found instanceof Problem) return found
    return this.#withAgent((agent, id) => {
      this.#options.friendsAndBlocked.dismiss(found.id)
      agent.disconnect(id)
    }, found.id)
  }

  setStanding(text: string, standing: Standing): Problem | null {
    const found = this.#find(text)
    if (found instanceof Problem) return found
    this.#options.friendsAndBlocked.set(found, standing)
    const id = readUserId(found.id)
    if (standing === 'blocked' && id) this.#agent?.disconnect(id)
    return null
  }

  /** Replaces the settings of the config. Rejects with a Problem when a port cannot be opened. The other settings are applied
   *  all the same, except forwards after that one. */
  async configure(next: AgentConfigured): Promise<void> {
    this.#options.friendsAndBlocked.configure(next)
    for (const { id } of this.#options.friendsAndBlocked.list('blocked')) {
      this.#agent?.disconnect(readUserId(id) ?? new Uint8Array())
    }
    const [old, now] = [this.#configured, new Set(next.forwards.map(forwardText))]
    this.#configured = now
    for (const forward of this.#forwards.filter(
      (one) => old.has(forwardText(one)) && !now.has(forwardText(one)),
    )) {
      this.#forwards = this.#forwards.filter((other) => other !== forward)
      await this.#agent?.removeForward(forward)
    }
    for (const forward of next.forwards.filter((one) => !old.has(forwardText(one)))) {
      this.#forwards = [...this.#forwards, forward]
      if (this.#state === 'joined') await this.#agent?.addForward(forward)
    }
  }

  /** Adds a forward until the program ends. Rejects with a Problem when the text is no forward, or its port cannot be opened. */
  async addForward(text: string): Promise<Problem | null> {
    const agent = this.#agent
    if (!agent || this.#state !== 'joined') return notJoinedProblem()
    const forward = parseForwards([...this.#forwards.map(forwardText), text]).at(-1)
    if (!forward) return null
    this.#forwards = [...this.#forwards, forward]
    try {
      await agent.addForward(forward)
    } catch (thrown) {
      this.#forwards = this.#forwards.filter((other) => other !== forward)
      throw thrown
    }
    return null
  }

  /** `local` is the protocol and the local port, such as `udp:7000`. */
  async removeForward(local: string): Promise<Problem | null> {
    const forward = this.#forwards.find(({ protocol, localPort }) => `${protocol}:${localPort}` === local)
    if (!forward)
      return new Problem('unknown-forward', 'No forward has this local port.', 'Name it like udp:7.')
    this.#forwards = this.#forwards.filter((other) => other !== forward)
    await this.#agent?.removeForward(forward)
    return null
  }

  status(): AgentStatus {
    const { name, id, room, invite, exposes } = this.#options
    const report = this.#agent?.report
    return {
      role: 'agent',
      name,
      id,
      room,
      startedAt: instant(this.#startedAt),
      state: this.#state,
      since: instant(this.#stateAt),
      trouble: this.#trouble,
      ...this.#lastEvents.letters,
      nat: report && this.#lastEvents.isNatKnown ? natStatus(report) : null,
      hasInvite: invite !== null,
      exposes: [...exposes],
      forwards: this.#forwards.map(forwardText),
    }
  }

  get clock(): Clock {
    return this.#options.clock
  }

  unready(): Problem | null {
    return agentUnready(this.status())
  }

  metrics(): readonly Metric[] {
    return agentMetrics(this.status(), this.peers())
  }

  peers(): readonly PeerStatus[] {
    const { clock, friendsAndBlocked } = this.#options
    const [now, wallNow] = [clock.now(), clock.wallNow()]
    const at = (monotonic: number) => instant(wallNow - (now - monotonic))
    return (this.#agent?.report.peers ?? []).map((entry) =>
      peerStatus(entry, friendsAndBlocked.of(entry.peer.id), at),
    )
  }

  peer(text: string): PeerStatus | Problem {
    const found = this.#find(text)
    if (found instanceof Problem) return found
    const peer = this.peers().find(({ id }) => id === found.id)
    return peer ?? new Problem('unknown-peer', 'This player is not known.', 'Name a player of the list.')
  }

  get standings(): Pick<FriendsAndBlocked, 'list'> {
    return this.#options.friendsAndBlocked
  }

  get invite(): string | null {
    return this.#options.invite
  }

  async #start(): Promise<void> {
    this.#setState('starting')
    this.#trouble = null
    this.#lastEvents = new AgentLastEvents(this.#stateAt)
    this.#agent = this.#options.makeAgent((event) => this.#handleEvent(event), this.#forwards)
    await this.#agent.start()
  }

  #handleLeft(thrown: unknown): void {
    this.#setState('left')
    this.#lastEvents.closed(this.#stateAt)
    if (thrown === null) this.#options.onEvent({ event: 'left' })
    else {
      const problem = thrown instanceof Problem ? thrown : null
      this.#trouble = { message: problem?.message ?? messageOf(thrown), remedy: problem?.remedy ?? '' }
      this.#options.onEvent({ event: 'notice', notice: problem?.line ?? messageOf(thrown) })
    }
  }

  #handleEvent(event: AgentEvent): void {
    if (event.event === 'ready') this.#setState('joined')
    this.#lastEvents.handleEvent(event, this.#options.clock.wallNow())
    this.#options.onEvent(event)
  }

  #setState(state: AgentStatus['state']): void {
    this.#state = state
    this.#stateAt = this.#options.clock.wallNow()
  }

  #withAgent(work: (agent: ControlledAgent, id: Uint8Array) => void, text: string): Problem | null {
    const id = readUserId(text)
    if (this.#state !== 'joined' || !this.#agent || !id) {
      return notJoinedProblem()
    }
    work(this.#agent, id)
    return null
  }

  /** `text` is a user ID, of a known player or not, or the name of a known player. */
  #find(text: string): { readonly id: string; readonly name: string | null } | Problem {
    const known: PeerName[] = (this.#agent?.report.peers ?? []).map(({ peer }) => peer)
    const id = readUserId(text)
    if (id) {
      const found = known.find((peer) => toHex(readUserId(peer.id) ?? id) === toHex(id))
      return found ?? { id: text.toLowerCase(), name: null }
    }
    const [first, ...others] = known.filter(({ name }) => name === text)
    if (!first) {
      return new Problem('unknown-peer', `Nobody called "${text}" is known.`, 'Name a player of the list.')
    }
    if (others.length === 0) return first
    return new Problem('ambiguous', `Several players are called "${text}".`, 'Name one by the user ID.')
  }
}
