// TCP over links, for both roles: exposing and forwarding.

import type { Server } from 'node:net'
import type { Duplex } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import type { Forward, ForwarderCounts } from '../forward-types.ts'
import { openOnBothLoopbacks, openTcpPort } from '../local-ports.ts'
import type { OnStream } from '../named-services.ts'
import type { PeerLoopbackAddresses } from '../peer-loopback-addresses.ts'
import { ExposedTcpPorts } from './exposed-tcp-ports.ts'
import { ForwardedTcpPorts } from './forwarded-tcp-ports.ts'
import { StreamBudget } from './stream-budget.ts'
import { decodeStreamFrame } from './stream-frame.ts'
import { UdxRelay } from './udx-relay.ts'

type StreamForwarderOptions = {
  readonly clock: Clock
  readonly random: () => number
  readonly addresses: PeerLoopbackAddresses
  readonly isAllowed: (peerId: string, port: number) => boolean
  readonly streamHandlerOf: (peerId: string, name: string) => OnStream | null
  readonly peerOf: (nick: string) => string | undefined
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  readonly maxUnfragmentedBytes: (peerId: string) => number
  readonly counts: ForwarderCounts
}

export class StreamForwarder {
  readonly #options: StreamForwarderOptions
  readonly #servers = new Map<Forward, readonly Server[]>()
  #opening: Promise<ForwardedTcpPorts> | null = null
  #relay: UdxRelay | null = null
  #exposed: ExposedTcpPorts | null = null
  #forwarded: ForwardedTcpPorts | null = null

  constructor(options: StreamForwarderOptions) {
    this.#options = options
  }

  /** Needed only when a TCP port is exposed or forwarded. When it rejects with a Problem, call `close`. */
  async open(): Promise<void> {
    await this.#open()
  }

  /** Opens a local port and everything it needs. Rejects with a Problem when the port cannot be opened. */
  async add(forward: Forward): Promise<void> {
    const forwarded = await this.#open()
    const open = (loopback: Parameters<typeof openTcpPort>[0]) =>
      openTcpPort(loopback, forward.localPort, (client) => forwarded.handleClient(forward, client))
    this.#servers.set(forward, await openOnBothLoopbacks(forward, open))
  }

  /** Closes the local port. Its open connections continue. */
  remove(forward: Forward): void {
    for (const server of this.#servers.get(forward) ?? []) server.close()
    this.#servers.delete(forward)
  }

  /** Opens a stream to a name that the peer's program has opened. Rejects with a Problem. */
  async connect(peerId: string, name: string): Promise<Duplex> {
    const forwarded = await this.#open()
    return forwarded.open(peerId, name)
  }

  #open(): Promise<ForwardedTcpPorts> {
    this.#opening ??= this.#openRelay().catch((thrown) => {
      this.#opening = null
      throw thrown
    })
    return this.#opening
  }

  async #openRelay(): Promise<ForwardedTcpPorts> {
    const relay = await UdxRelay.open(this.#options.random)
    this.#relay = relay
    const common = { ...this.#options, relay, budget: new StreamBudget() }
    this.#exposed = new ExposedTcpPorts(common)
    const forwarded = new ForwardedTcpPorts(common)
    this.#forwarded = forwarded
    return forwarded
  }

  /** Returns false when the frame is malformed. */
  handleFrame(peerId: string, bytes: Uint8Array): boolean {
    const frame = decodeStreamFrame(bytes)
    if (!frame) return false
    switch (frame.kind) {
      case 'open-named':
        // The name may have been opened after the start. The peer repeats its request.
        if (!this.#exposed && this.#options.streamHandlerOf(peerId, frame.name)) this.#open().catch(() => {})
        this.#exposed?.handleFrame(peerId, frame)
        break
      case 'open':
        this.#exposed?.handleFrame(peerId, frame)
        break
      case 'opened':
        this.#forwarded?.handleFrame(peerId, frame)
        break
      case 'packet':
      case 'end':
        if (frame.towards === 'exposing') this.#exposed?.handleFrame(peerId, frame)
        else this.#forwarded?.handleFrame(peerId, frame)
        break
    }
    return true
  }

  dropPeer(peerId: string): void {
    this.#forwarded?.dropPeer(peerId)
    this.#exposed?.dropPeer(peerId)
  }

  async close(): Promise<void> {
    const servers = [...this.#servers.values()].flat()
    this.#servers.clear()
    const closed = servers.map((server) => new Promise<void>((resolve) => server.close(() => resolve())))
    this.#forwarded?.close()
    this.#exposed?.close()
    await this.#relay?.close()
    await Promise.all(closed)
    this.#relay = null
  }
}
