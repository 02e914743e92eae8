// The agent of a player inside a program.

import { EventEmitter } from 'node:events'
import type { Duplex } from 'node:stream'
import type { Agent as RunningAgent } from '../agent/agent.ts'
import type { PeerName, AgentEvent as RunningAgentEvent } from '../agent/events.ts'
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

/** The answers of `GET /v1/status` and `GET /v1/peers` in the control API. Addresses are masked. */
export type AgentStatus = Status & { readonly peers: readonly PeerStatus[] }

export type NamedServiceOptions = {
  /** Only friends may use it. Default: false. */
  readonly friendsOnly?: boolean
}

/**
 * Joins a room and keeps connections to the players in it. Before `start` it opens nothing and sends nothing.
 *
 * Emits the events that `peerpost agent --json` prints, each under its own name: `connected`, `disturbed` (no packets for
 * some seconds), `recovered`, `disconnected`, `failed` with advice, `notice`, … It emits each event under `event` too.
 */
export class Agent extends EventEmitter<AgentEvents> {
  readonly #options: AgentOptions
  readonly #namedServices = new NamedServices()
  /** The connected players, by user ID. */
  readonly #peers = new Map<string, Peer>()
  #control: AgentControl | null = null
  #agent: RunningAgent | null = null
  #starting: Promise<void> | null = null
  #stopping: Promise<void> | null = null

  constructor(options: AgentOptions) {
    super()
    this.#options = options
  }

  /** Resolves when the mailbox is open and the host is being asked. Players then come as `connected`. Rejects with a Problem
   *  whose `remedy` says what to do; then nothing stays open. An agent can be started only once. */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /** Sends a goodbye to players and host and closes everything, within some seconds. It may be called at any time. To join
   *  again, make another agent. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** The players that are connected now. */
  get peers(): readonly Peer[] {
    return [...this.#peers.values()]
  }

  /**
   * Opens a channel. `handle` gets the datagrams that connected players send to it. Datagrams to a channel that is not open
   * are dropped.
   *
   * @param channel 1 to 32 of `a-z`, `A-Z`, `0-9`, dot, dash, underscore
   * @param handle may keep and change the bytes. If it throws, the error is an uncaught exception.
   * @returns a function that closes the channel
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
   * Accepts streams that connected players open to this name. `Peer.openStream` says how they end.
   *
   * @returns a function that refuses further streams; open ones go on
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

  /** The status: NAT, mailbox, and every known player with its state and advice. Throws a Problem `usage` before `start` has
   *  read the options. */
  status(): AgentStatus {
    const control = this.#started()
    return { ...control.status(), peers: control.peers() }
  }

  /** Tries to connect to a known player, by name or user ID, even if there are enough connections already. The outcome is
   *  emitted as `connected` or `failed`. Throws a Problem `usage` when there is no such player, or more than one. */
  connect(player: string): void {
    throwIfRefused(this.#started().connect(player))
  }

  /** Ends the connection to a player, or the attempt. It is not tried again before `connect`. Throws as `connect` does. */
  disconnect(player: string): void {
    throwIfRefused(this.#started().disconnect(player))
  }

  /** Makes a player a friend, blocked, or neither. It is stored in the folder, if there is one. Throws as `connect` does. */
  setStanding(player: string, standing: Standing): void {
    throwIfRefused(this.#started().setStanding(player, standing))
  }

  async #start(): Promise<void> {
    const crypto = await loadSodium()
    if (this.#stopping) return
    const control = setUpAgent({
      crypto,
      namedServices: this.#namedServices,
      exposes: [],
      forwards: [],
      ...readAgentOptions(crypto, this.#options),
      onEvent: (event) => this.#handleEvent(event),
      onMade: (agent) => {
        this.#agent = agent
      },
    })
    this.#control = control
    await control.start()
  }

  async #stop(): Promise<void> {
    await this.#control?.stop()
    // If it has failed, the caller of `start` knows.
    await this.#starting?.catch(() => {})
    this.#peers.clear()
  }

  #started(): AgentControl {
    if (this.#control) return this.#control
    throw new Problem('usage', 'The agent is not started.', 'Await start() first.')
  }

  #handleEvent(event: RunningAgentEvent): void {
    if (!('peer' in event)) {
      this.#emitEvent(event)
      return
    }
    const peer = this.#peers.get(event.peer.id) ?? this.#createPeer(event.peer)
    if (event.event === 'connected') {
      // A newer connection has replaced the old one. For the program only the path has changed.
      const isNew = !this.#peers.has(peer.id)
      this.#peers.set(peer.id, peer)
      this.#emitEvent(isNew ? { ...event, peer } : { event: 'path', peer, path: event.path })
      return
    }
    if (event.event === 'disconnected') this.#peers.delete(peer.id)
    this.#emitEvent({ ...event, peer })
  }

  #emitEvent(event: AgentEvent): void {
    emitBoth(this, event)
  }

  #createPeer({ id, name }: PeerName): Peer {
    return new Peer(id, name, () => this.#agent)
  }

  #withPeer(peerId: string, call: (peer: Peer) => void): void {
    const peer = this.#peers.get(peerId)
    if (peer) callSafely(() => call(peer))
  }
}

function throwIfRefused(problem: Problem | null): void {
  if (problem) throw new Problem('usage', problem.message, problem.remedy)
}
