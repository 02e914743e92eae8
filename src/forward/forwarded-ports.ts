// Local ports that lead to a peer (`--forward`): each local client that sends to one is a flow.

import type { Clock } from '../base/clock.ts'
import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import { Problem } from '../base/problem.ts'
import type { openUdpSocket, UdpSocket } from '../net/udp-socket.ts'
import { FlowTable } from './flow-table.ts'
import type { Forward, ForwarderCounts } from './forwarder.ts'
import { encodeFrame, type Frame, maxPayloadBytes } from './frame.ts'

type Flow = {
  readonly number: number
  readonly forward: Forward
  readonly peerId: string
  readonly client: Endpoint
  readonly key: string
}

export type ForwardedPortsOptions = {
  readonly clock: Clock
  readonly forwards: readonly Forward[]
  readonly openSocket: typeof openUdpSocket
  /** The linked peer a forward to this nickname leads to now. */
  readonly peerOf: (nick: string) => string | undefined
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  readonly counts: ForwarderCounts
}

export class ForwardedPorts {
  readonly #options: ForwardedPortsOptions
  readonly #sockets = new Map<Forward, UdpSocket>()
  /** By number, as the peer answers; bounded by the table. */
  readonly #byNumber = new Map<number, Flow>()
  readonly #flows = new FlowTable<Flow>((flow) => void this.#byNumber.delete(flow.number))
  /** Numbers are not used again before all others were: the other side may still hold an old flow's address. */
  #lastNumber = 0

  constructor(options: ForwardedPortsOptions) {
    this.#options = options
  }

  /** Rejects with a Problem when a port cannot be had; then none stays open. */
  async open(): Promise<void> {
    try {
      for (const forward of this.#options.forwards) this.#sockets.set(forward, await this.#listen(forward))
    } catch (thrown) {
      await this.close()
      throw thrown
    }
  }

  handleFrame(peerId: string, { port, flow: number, payload }: Frame): void {
    const flow = this.#byNumber.get(number)
    const socket = flow && this.#sockets.get(flow.forward)
    if (!flow || !socket || flow.peerId !== peerId || flow.forward.port !== port) {
      this.#options.counts.unknownFlow++
      return
    }
    this.#flows.use(flow.key, this.#options.clock.now())
    socket.send(payload, flow.client)
  }

  expire(now: number): void {
    this.#flows.expire(now)
  }

  async close(): Promise<void> {
    const sockets = [...this.#sockets.values()]
    this.#sockets.clear()
    this.#flows.clear()
    await Promise.all(sockets.map((socket) => socket.close()))
  }

  async #listen(forward: Forward): Promise<UdpSocket> {
    const { localPort, nick, port } = forward
    const onDatagram = (bytes: Uint8Array, from: Endpoint) => this.#handleClient(forward, bytes, from)
    try {
      return await this.#options.openSocket({ family: 4, address: '127.0.0.1', port: localPort, onDatagram })
    } catch (thrown) {
      if (!(thrown instanceof Problem) || thrown.code !== 'port-taken') throw thrown
      throw new Problem(
        'port-taken',
        `Local UDP port ${localPort} for --forward udp:${localPort}=${nick}:${port} is in use by another program.`,
        `Stop that program or choose another local port, such as --forward udp:${otherPort(localPort)}=${nick}:${port}.`,
        { cause: thrown },
      )
    }
  }

  #handleClient(forward: Forward, payload: Uint8Array, client: Endpoint): void {
    const { clock, counts, peerOf, send } = this.#options
    if (payload.length > maxPayloadBytes) {
      counts.tooBig++
      return
    }
    const peerId = peerOf(forward.nick)
    if (peerId === undefined) {
      counts.notLinked++
      return
    }
    const key = `${forward.localPort} ${formatEndpoint(client)} ${peerId}`
    const now = clock.now()
    const flow =
      this.#flows.use(key, now) ??
      this.#flows.add(key, peerId, now, () => this.#newFlow(forward, peerId, client, key))
    if (!flow) counts.refusedFlows++
    else if (!send(peerId, encodeFrame({ kind: 'to-game', port: forward.port, flow: flow.number, payload })))
      counts.notLinked++
  }

  #newFlow(forward: Forward, peerId: string, client: Endpoint, key: string): Flow {
    do this.#lastNumber = (this.#lastNumber + 1) & 0xffff
    while (this.#byNumber.has(this.#lastNumber))
    const flow = { number: this.#lastNumber, forward, peerId, client, key }
    this.#byNumber.set(flow.number, flow)
    return flow
  }
}

function otherPort(port: number): number {
  return port < 65535 ? port + 1 : port - 1
}
