// A person with a computer, a mail address and an identity, who runs an agent, stops it, kills it, starts another.

import { Agent, type AgentEvent, type AgentSettings } from '../../../src/agent/agent.ts'
import type { PeerPreferences } from '../../../src/agent/peers/peer-ranking.ts'
import { toHex } from '../../../src/base/bytes.ts'
import type { KeyPair } from '../../../src/base/crypto.ts'
import type { Forward } from '../../../src/forward/forward-types.ts'
import type { InviteHost } from '../../../src/letter/invite.ts'
import type { RoomKeys } from '../../../src/letter/room-membership.ts'
import { userIdText } from '../../../src/letter/user-id.ts'
import type { Mailbox } from '../../../src/mail/mailbox.ts'
import { seededCrypto } from '../seeded-crypto.ts'
import type { Computer } from './computer.ts'
import type { HostSite } from './host-site.ts'
import type { Post } from './post.ts'
import { Power } from './power.ts'
import type { WorldClock } from './world-clock.ts'

export type PlayerOptions = {
  readonly name: string
  readonly seed: number
  readonly clock: WorldClock
  readonly computer: Computer
  readonly post: Post
  readonly room: RoomKeys
  readonly subject: string
  readonly hosts: readonly InviteHost[]
  readonly stunServers: readonly string[]
  readonly settings?: Partial<AgentSettings>
  readonly friends?: readonly Player[]
  readonly blocked?: readonly Player[]
  /** Default: one of their own. */
  readonly address?: string
  /** Runs in the same program, at the same mail address. */
  readonly site?: HostSite
}

export type EmittedEvent = AgentEvent & { readonly at: number }
type Named<Name> = Extract<EmittedEvent, { readonly event: Name }>

const defaults: AgentSettings = {
  port: 0,
  keepaliveMs: 8_000,
  portMapping: true,
  tcp: true,
  links: 8,
  attemptMs: 120_000,
  sweepMs: 60_000,
  requestRetryMs: 60_000,
}

export class Player {
  readonly #options: PlayerOptions
  readonly identity: KeyPair
  readonly address: string
  /** Of all agents this person ran. */
  readonly events: EmittedEvent[] = []
  #agent: Agent | null = null
  #power: Power
  #mailbox: Mailbox | null = null
  #runs = 0
  /** By how much the computer's clock is wrong. */
  wallOffsetMs = 0

  constructor(options: PlayerOptions) {
    this.#options = options
    this.identity = seededCrypto(options.seed).signKeyPair()
    const { site } = options
    this.address = site?.known.address ?? options.address ?? `${options.name}@mail.test`
    if (site) site.ownAgent = this.identity.publicKey
    this.#power = new Power(options.clock)
  }

  get name(): string {
    return this.#options.name
  }

  get id(): string {
    return userIdText(this.identity.publicKey)
  }

  get computer(): Computer {
    return this.#options.computer
  }

  get liveLinks(): number {
    return this.computer.liveLinks
  }

  /** The one that runs. */
  get agent(): Agent {
    if (!this.#agent) throw new Error(`${this.name} runs no agent`)
    return this.#agent
  }

  get isRunning(): boolean {
    return this.#agent !== null
  }

  /** Timers of the agent that runs or ran last. */
  get pendingTimers(): number {
    return this.#power.pendingTimers
  }

  /** Resolves when the agent has joined, which needs time to pass. */
  start(): Promise<void> {
    const ids = (players: readonly Player[] = []) =>
      new Set(players.map(({ identity }) => toHex(identity.publicKey)))
    const preferences = { friends: ids(this.#options.friends), blocked: ids(this.#options.blocked) }
    const { clock } = this.#options
    return this.make(preferences, (event) => this.events.push({ ...event, at: clock.now() })).start()
  }

  /** An agent of this person, who has others start it. */
  make(
    preferences: PeerPreferences,
    onEvent: (event: AgentEvent) => void,
    forwards: readonly Forward[] = [],
  ): Agent {
    const { clock, computer, post, room, subject, hosts, stunServers, settings, seed, name, site } =
      this.#options
    const power = new Power(clock, () => this.wallOffsetMs)
    this.#power = power
    const mail = site?.mail('agent') ?? {
      mailbox: post.mailbox(this.address, power),
      sender: post.sender(power),
    }
    this.#mailbox = mail.mailbox
    this.#agent = new Agent({
      clock: power,
      crypto: seededCrypto(seed + 1_000 * ++this.#runs),
      identity: this.identity,
      name,
      address: this.address,
      subject,
      roomName: 'lobby',
      room,
      hosts,
      stunServers,
      preferences,
      settings: { ...defaults, ...settings },
      exposes: [],
      forwards,
      ...mail,
      onEvent: (event) => {
        if (power.isOn) onEvent(event)
      },
      io: computer.io,
    })
    return this.#agent
  }

  /** A clean end; resolves when everything is closed, which needs time to pass. */
  async stop(): Promise<void> {
    const agent = this.#agent
    this.#agent = null
    await agent?.stop()
  }

  /** Without a goodbye. */
  kill(): void {
    this.#power.cut()
    this.#agent = null
    this.computer.closeSockets()
    void this.#mailbox?.close()
  }

  emitted<Name extends EmittedEvent['event']>(name: Name, about?: Player): Named<Name>[] {
    return this.events.filter(
      (event): event is Named<Name> =>
        event.event === name && (!about || ('peer' in event && event.peer.id === about.id)),
    )
  }

  /** True when the latest event of a link with this player is that it is open. */
  isLinkedWith(other: Player): boolean {
    const last = this.events.findLast(
      (event) =>
        (event.event === 'connected' || event.event === 'disconnected') && event.peer.id === other.id,
    )
    return this.isRunning && last?.event === 'connected'
  }

  clearEvents(): void {
    this.events.length = 0
  }
}
