// A player's agent inside a program.

import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Agent as InnerAgent } from '../agent/agent.ts'
import type { PeerName, AgentEvent as PlainEvent } from '../agent/events.ts'
import { Problem } from '../base/problem.ts'
import type { AgentControl } from '../daemon/agent-control.ts'
import type { PeerStatus, AgentStatus as Status } from '../daemon/agent-schemas.ts'
import type { Standing } from '../daemon/friends-and-blocked.ts'
import { NamedServices } from '../forward/named-services.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { setUpAgent } from '../setup/create-agent.ts'
import { type AgentEvent, type AgentEvents, callSafely, emitBoth } from './events.ts'
import { type AgentOptions, readAgentOptions } from './options.ts'
import { Peer } from './peer.ts'

/** As `GET /v1/status` and `GET /v1/peers` of the control API answer; addresses are masked. */
export type AgentStatus = Status & { readonly peers: readonly PeerStatus[] }

export type NamedServiceOptions = {
  /** Only for players named as friends; default false. */
  readonly friendsOnly?: boolean
}

/**
 * Joins a room and keeps connections to the players in it. Nothing is opened and nobody is asked before `start`.
 *
 * Emits what `peerpost agent --json` prints, each event under its own name: `connected`, `disturbed` (silent for
 * seconds, perhaps back soon), `recovered`, `disconnected`, `failed` with advice, `notice`, … and each under `event`.
 */
export class Agent extends EventEmitter<AgentEvents> {
  readonly #options: AgentOptions
  readonly #namedServices = new NamedServices()
  /** Connected ones, by user ID. */
  readonly #peers = new Map<string, Peer>()
  #control: AgentControl | null = null
  #inner: InnerAgent | null = null
  #starting: Promise<void> | null = null
  #stopping: Promise<void> | null = null

  constructor(options: AgentOptions) {
    super()
    this.#options = options
  }

  /** Resolves when the agent has joined: the mailbox is open, and the host is being asked. Players come as `connected`.
   *  Rejects with a Problem, whose `remedy` says what to do; then nothing stays open. Once only. */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /** Says goodbye to players and host and closes everything, within some seconds. May be called at any time. For coming
   *  back, make another agent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** Players connected now. */
  get peers(): readonly Peer[] {
    return [...this.#peers.values()]
  }

  /**
   * Opens a channel: datagrams that connected players send to it come to `handle`. Nobody can send to a channel that is
   * not open here.
   *
   * @param channel 1 to 32 of `a-z`, `A-Z`, `0-9`, dot, dash, underscore
   * @param handle gets bytes that are its own. What it throws is an uncaught exception.
   * @returns closes the channel again
   * @throws Problem `usage` when the name is bad or open already
   */
  onDatagram(
    channel: string,
    handle: (bytes: Uint8Array, peer: Peer) => void,
    { friendsOnly = false }: NamedServiceOptions = {},
  ): () => void {
    return this.#namedServices.openChannel(channel, {
      friendsOnly,
      handle: (peerId, bytes) => this.#withPeer(peerId, (peer) => handle(bytes, peer)),
    })
  }

  /**
   * Takes streams that connected players open to this name; see `Peer.openStream` for how they end.
   *
   * @returns refuses further ones; those that are open go on
   * @throws Problem `usage` when the name is bad or open already
   */
  onStream(
    name: string,
    handle: (stream: Duplex, peer: Peer) => void,
    { friendsOnly = false }: NamedServiceOptions = {},
  ): () => void {
    return this.#namedServices.openStreams(name, {
      friendsOnly,
      handle: (peerId, stream) => this.#withPeer(peerId, (peer) => handle(stream, peer)),
    })
  }

  /** What is known and going on: NAT, mailbox, every known player with what is tried and what would help.
   *  Throws a Problem `usage` before `start` has read the options. */
  status(): AgentStatus {
    const control = this.#started()
    return { ...control.status(), peers: control.peers() }
  }

  /** Tries to reach a known player, by name or user ID, also beyond the number of connections wanted. The outcome comes as
   *  `connected` or `failed`. Throws a Problem `usage` when there is no such player, or more than one. */
  connect(player: string): void {
    throwIfRefused(this.#started().connect(player))
  }

  /** Ends the connection to a player, or the attempt. Not tried again before `connect`. Throws as `connect` does. */
  disconnect(player: string): void {
    throwIfRefused(this.#started().disconnect(player))
  }

  /** Makes a player a friend, blocked, or neither. Kept in the folder, if there is one. Throws as `connect` does. */
  setStanding(player: string, standing: Standing): void {
    throwIfRefused(this.#started().setStanding(player, standing))
  }

  async #start(): Promise<void> {
    const crypto = await loadSodium()
    if (this.#stopping) return
    const control = setUpAgent({
      ...{ crypto, namedServices: this.#namedServices, exposes: [], forwards: [] },
      ...readAgentOptions(crypto, this.#options),
      onEvent: (event) => this.#heard(event),
      onMade: (agent) => {
        this.#inner = agent
      },
    })
    this.#control = control
    await control.start()
  }

  async #stop(): Promise<void> {
    await this.#control?.stop()
    // It may have failed, which its caller knows.
    await this.#starting?.catch(() => {})
    this.#peers.clear()
  }

  #started(): AgentControl {
    if (this.#control) return this.#control
    throw new Problem('usage', 'The agent is not started.', 'Await start() first.')
  }

  #heard(event: PlainEvent): void {
    if (!('peer' in event)) {
      this.#tell(event)
      return
    }
    const peer = this.#peers.get(event.peer.id) ?? this.#peerOf(event.peer)
    if (event.event === 'connected') {
      // A newer connection has taken the place of one: for the program it is another path.
      const isNew = !this.#peers.has(peer.id)
      this.#peers.set(peer.id, peer)
      this.#tell(isNew ? { ...event, peer } : { event: 'path', peer, path: event.path })
      return
    }
    if (event.event === 'disconnected') this.#peers.delete(peer.id)
    this.#tell({ ...event, peer })
  }

  #tell(event: AgentEvent): void {
    emitBoth(this, event)
  }

  #peerOf({ id, name }: PeerName): Peer {
    return new Peer(id, name, () => this.#inner)
  }

  #withPeer(peerId: string, call: (peer: Peer) => void): void {
    const peer = this.#peers.get(peerId)
    if (peer) callSafely(() => call(peer))
  }
}

function throwIfRefused(problem: Problem | null): void {
  if (problem) throw new Problem('usage', problem.message, problem.remedy)
}
