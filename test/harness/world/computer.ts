// A computer on a simulated network, as a program sees it: it has UDP sockets and its own address.

import type { NetworkIo } from '../../../src/agent/network/network-io.ts'
import { toHex } from '../../../src/base/bytes.ts'
import type { Clock } from '../../../src/base/clock.ts'
import type { Endpoint } from '../../../src/base/endpoint.ts'
import { Problem } from '../../../src/base/problem.ts'
import { dataByte } from '../../../src/link/packet-codec.ts'
import { resolveServers } from '../../../src/net/resolve-stun-servers.ts'
import type { UdpOptions, UdpSocket } from '../../../src/net/udp/udp-socket.ts'
import type { Datagram, Segment } from '../simulator/simulated-network.ts'

const firstPort = 40_000
const linkKeepaliveMs = 10_000

type Open = { readonly options: UdpOptions; readonly port: number }

export class Computer {
  #address: string
  readonly #clock: Clock
  #segment: Segment
  readonly #sockets = new Map<number, Open>()
  #nextPort = firstPort
  /** By a link's tag: when its packets were last sent and received. */
  readonly #traffic = new Map<string, { sentAt: number; receivedAt: number }>()
  /** The cable is unplugged: no packet goes in or out. */
  isCutOff = false
  isPortTaken = false
  /** Interval at which agents poll their own addresses; never by default, because it costs timers. */
  addressCheckMs: number | undefined

  constructor(clock: Clock, segment: Segment, address: string) {
    this.#clock = clock
    this.#address = address
    this.#segment = segment
    this.plugInto(segment)
  }

  get address(): string {
    return this.#address
  }

  get openSockets(): number {
    return this.#sockets.size
  }

  /** Links with traffic in both directions within the last two keepalives. */
  get liveLinks(): number {
    const since = this.#clock.now() - 2 * linkKeepaliveMs
    return [...this.#traffic.values()].filter((last) => last.sentAt > since && last.receivedAt > since).length
  }

  /** Plugs it into another network, with the same address. */
  plugInto(segment: Segment): void {
    this.moveTo(segment, this.#address)
  }

  /** Plugs it into a network with this address. */
  moveTo(segment: Segment, address: string): void {
    this.#segment = segment
    this.#address = address
    segment.join(address, {
      receive: (datagram) => {
        if (this.#segment === segment && this.#address === address) this.#receive(datagram)
      },
    })
  }

  /** All programs on it were killed. */
  closeSockets(): void {
    this.#sockets.clear()
  }

  /** The next program gets the port the first one had. */
  reusePorts(): void {
    this.#nextPort = firstPort
  }

  get io(): NetworkIo {
    return {
      openUdpSocket: async (options) => this.#open(options),
      hostEndpoints: (sockets) => sockets.map(({ port }) => ({ address: this.address, port })),
      resolveServers,
      ...(this.addressCheckMs !== undefined && { addressCheckMs: this.addressCheckMs }),
    }
  }

  #open(options: UdpOptions): UdpSocket {
    if (this.isPortTaken) throw new Problem('port-taken', 'Another program uses the port.', 'Stop it.')
    const port = options.port || this.#nextPort++
    const open = { options, port }
    this.#sockets.set(port, open)
    const isOpen = () => this.#sockets.get(port) === open
    return {
      family: 4,
      local: { address: '0.0.0.0', port },
      send: (bytes, to) => {
        if (isOpen()) this.#send(bytes, { address: this.address, port }, to)
      },
      stats: () => ({ sent: 0, received: 0, sendFailures: 0, dropped: 0 }),
      close: async () => {
        if (isOpen()) this.#sockets.delete(port)
      },
    }
  }

  #send(bytes: Uint8Array, from: Endpoint, to: Endpoint): void {
    if (this.isCutOff) return
    this.#note(bytes, 'sentAt')
    this.#segment.send({ from, to, bytes: bytes.slice() })
  }

  #receive({ bytes, from, to }: Datagram): void {
    const open = this.#sockets.get(to.port)
    if (this.isCutOff || !open) return
    this.#note(bytes, 'receivedAt')
    open.options.onDatagram(bytes.slice(), from)
  }

  #note(bytes: Uint8Array, direction: 'sentAt' | 'receivedAt'): void {
    if (bytes[0] !== dataByte) return
    const tag = toHex(bytes.subarray(1, 9))
    const last = this.#traffic.get(tag) ?? { sentAt: -Infinity, receivedAt: -Infinity }
    last[direction] = this.#clock.now()
    this.#traffic.set(tag, last)
  }
}
