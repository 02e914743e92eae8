// The address server: tells a client where its packet came from, and keeps nothing (C1). With two addresses
// that have the same two ports it answers from each of the four, so that a client learns what its NAT filters. Each place
// takes UDP and TCP.

import type { Clock } from '../base/clock.ts'
import { type Endpoint, type Family, familyOf, formatEndpoint } from '../base/endpoint.ts'
import { Problem } from '../base/problem.ts'
import type { StunRequest } from '../nat/stun-message.ts'
import type { ConnectionLimits } from '../net/tcp/connection-limit.ts'
import { openUdpSocket, type UdpSocket } from '../net/udp/udp-socket.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { type AlternateAddresses, layOut } from './alternate-addresses.ts'
import { defaultRateLimits, type RateLimits, ResponseRateLimit } from './response-rate-limit.ts'
import { answerTo, readRequest } from './stun-response.ts'
import { StunTcpServer } from './stun-tcp-server.ts'

/** How often the counts are told, if they changed. */
const tellingMs = 60_000
/** A port that is free for UDP may be taken for TCP; when any will do another is tried. */
const maxPortTries = 8

/** Datagrams, and messages by TCP, since the start. */
export type ServedCounts = {
  readonly answered: number
  /** Sound requests of sources that asked too much, or that came while all together asked too much. */
  readonly limited: number
  /** Anything else than a sound Binding request. */
  readonly ignored: number
}

export type AddressServerOptions = {
  /** Port 0 means any. Two addresses and two ports of a family: all four combinations are opened. */
  readonly listen: readonly Endpoint[]
  readonly clock?: Clock
  readonly limits?: RateLimits
  /** On connections. */
  readonly connectionLimit?: ConnectionLimits
  /** Called at times when the counts have changed, and once more at the end. */
  readonly onServed?: (counts: ServedCounts) => void
}

export interface AddressServer {
  /** As bound: those of `listen` in their order, then the corners that completed a square. */
  readonly endpoints: readonly Endpoint[]
  /** The families for which RFC 5780 is offered in full. */
  readonly behaviour: readonly Family[]
  served(): ServedCounts
  close(): Promise<void>
}

/** Rejects with a Problem when one of the places cannot be had; then none stays open. */
export async function startAddressServer(options: AddressServerOptions): Promise<AddressServer> {
  const server = new StunAddressServer(options)
  try {
    await server.open()
  } catch (error) {
    await server.close()
    throw error
  }
  return server
}

class StunAddressServer implements AddressServer {
  readonly #clock: Clock
  readonly #limit: ResponseRateLimit
  readonly #onServed: (counts: ServedCounts) => void
  readonly #places: readonly Endpoint[]
  readonly #squares: ReadonlyMap<Family, AlternateAddresses>
  /** By place, as bound. */
  readonly #sockets = new Map<string, UdpSocket>()
  readonly #tcp: StunTcpServer
  #counts: ServedCounts = { answered: 0, limited: 0, ignored: 0 }
  #told = this.#counts
  #disarm = (): void => {}

  constructor({
    listen,
    clock = systemClock,
    limits = defaultRateLimits,
    connectionLimit,
    onServed,
  }: AddressServerOptions) {
    this.#clock = clock
    this.#limit = new ResponseRateLimit(limits)
    this.#onServed = onServed ?? (() => {})
    this.#tcp = new StunTcpServer({
      clock,
      ...(connectionLimit && { limits: connectionLimit }),
      take: (bytes, from) => this.#take(bytes, from),
    })
    const { places, squares } = layOut(listen)
    this.#places = places
    this.#squares = squares
  }

  get endpoints(): readonly Endpoint[] {
    return [...this.#sockets.values()].map(({ local }) => local)
  }

  get behaviour(): readonly Family[] {
    return [...this.#squares.keys()]
  }

  served(): ServedCounts {
    return this.#counts
  }

  async open(): Promise<void> {
    for (const place of this.#places) await this.#openPlace(place)
    this.#armTelling()
  }

  async #openPlace({ address, port }: Endpoint): Promise<void> {
    const family = familyOf(address)
    for (let tries = 1; ; tries++) {
      const socket: UdpSocket = await openUdpSocket({
        family,
        address,
        port,
        onDatagram: (bytes, from) => this.#receive(socket, bytes, from),
      })
      try {
        await this.#tcp.open(socket.local, family)
      } catch (thrown) {
        await socket.close()
        const mayTryAnother = port === 0 && tries < maxPortTries
        if (mayTryAnother && thrown instanceof Problem && thrown.code === 'port-taken') continue
        throw thrown
      }
      this.#sockets.set(formatEndpoint(socket.local), socket)
      return
    }
  }

  async close(): Promise<void> {
    this.#disarm()
    this.#tcp.close()
    await Promise.all([...this.#sockets.values()].map((socket) => socket.close()))
    this.#tell()
  }

  #receive(socket: UdpSocket, bytes: Uint8Array, from: Endpoint): void {
    const request = this.#take(bytes, from)
    if (!request) return
    const square = this.#squares.get(socket.family) ?? null
    const answer = answerTo(request, { from, to: socket.local }, square)
    this.#sockets.get(formatEndpoint(answer.from))?.send(answer.bytes, answer.to)
  }

  /** Null for what is no sound request, and for one too many. */
  #take(bytes: Uint8Array, from: Endpoint): StunRequest | null {
    const { answered, limited, ignored } = this.#counts
    const request = readRequest(bytes)
    if (!request) this.#counts = { answered, limited, ignored: ignored + 1 }
    else if (!this.#limit.take(this.#clock.now(), from))
      this.#counts = { answered, limited: limited + 1, ignored }
    else {
      this.#counts = { answered: answered + 1, limited, ignored }
      return request
    }
    return null
  }

  #armTelling(): void {
    this.#disarm = this.#clock.after(tellingMs, () => {
      this.#tell()
      this.#armTelling()
    })
  }

  #tell(): void {
    if (this.#told === this.#counts) return
    this.#told = this.#counts
    this.#onServed(this.#counts)
  }
}
