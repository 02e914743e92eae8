// A player with a computer, a mail address and an identity, who starts, stops and kills agents.

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
import type { MailSystem } from './mail-system.ts'
import { StoppableClock } from './stoppable-clock.ts'
import type { WorldClock } from './world-clock.ts'

export type PlayerOptions = {
  readonly name: string
  readonly seed: number
  readonly clock: WorldClock
  readonly computer: Computer
  readonly post: MailSystem
  readonly room: RoomKeys
  readonly subject: string
  readonly hosts: readonly InviteHost[]
  readonly stunServers: readonly string[]
  readonly settings?: Partial<AgentSettings>
  readonly friends?: readonly Player[]
  readonly blocked?: readonly Player[]
  /** Mail address; default: one of their own. */
  readonly address?: string
  /** A host in the same program with the same mail address. */
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
  /** Events of all agents of this player. */
  readonly events: EmittedEvent[] = []
  #agent: Agent | null = null
  #stoppableClock: StoppableClock
  #mailbox: Mailbox | null = null
  #runs = 0
  /** Error of the computer's wall clock. */
  wallOffsetMs = 0

  constructor(options: PlayerOptions) {
    this.#options = options
    this.identity = seededCrypto(options.seed).signKeyPair()
    const { site } = options
    this.address = site?.known.address ?? options.address ?? `${options.name}@mail.test`
    if (site) site.ownAgent = this.identity.publicKey
    this.#stoppableClock = new StoppableClock(options.clock)
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

  /** The running agent. */
  get agent(): Agent {
    if (!this.#agent) throw new Error(`${this.name} runs no agent`)
    return this.#agent
  }

  get isRunning(): boolean {
    return this.#agent !== null
  }

  /** Timers of the running or last agent. */
  get pendingTimers(): number {
    return this.#stoppableClock.pendingTimers
  }

  /** Resolves when the agent has joined; time must pass for that. */
  start(): Promise<void> {
    const ids = (players: readonly Player[] = []) =>
      new Set(players.map(({ identity }) => toHex(identity.publicKey)))
    const preferences = { friends: ids(this.#options.friends), blocked: ids(this.#options.blocked) }
    const { clock } = this.#options
    return this.make(preferences, (event) => this.events.push({ ...event, at: clock.now() })).start()
  }

  /** Creates an agent of this player without starting it. */
  make(
    preferences: PeerPreferences,
    onEvent: (event: AgentEvent) => void,
    forwards: readonly Forward[] = [],
  ): Agent {
    const { clock, computer, post, room, subject, hosts, stunServers, settings, seed, name, site } =
      this.#options
    const stoppableClock = new StoppableClock(clock, () => this.wallOffsetMs)
    this.#stoppableClock = stoppableClock
    const mail = site?.mail('agent') ?? {
      mailbox: post.mailbox(this.address, stoppableClock),
      sender: post.sender(stoppableClock),
    }
    this.#mailbox = mail.mailbox
    this.#agent = new Agent({
      clock: stoppableClock,
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
        if (stoppableClock.isRunning) onEvent(event)
      },
      io: computer.io,
    })
    return this.#agent
  }

  /** Stops the agent; resolves when everything is closed. Time must pass for that. */
  async stop(): Promise<void> {
    const agent = this.#agent
    this.#agent = null
    await agent?.stop()
  }

  /** Kills the agent without a clean end. */
  kill(): void {
    this.#stoppableClock.cut()
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

  /** Whether the last event about this player says that the link is open. */
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
