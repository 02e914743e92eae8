// The address server. It answers a client with the endpoint that its packet came from, and stores nothing (C1). With two
// addresses and two ports it answers from each of the four endpoints, so that a client can test the filtering of its NAT.
// Each endpoint accepts UDP and TCP.

import type { Clock } from '../base/clock.ts'
import { type Endpoint, type Family, familyOf, formatEndpoint } from '../base/endpoint.ts'
import { Problem } from '../base/problem.ts'
import type { StunRequest } from '../nat/stun-message.ts'
import type { ConnectionLimits } from '../net/tcp/connection-limit.ts'
import { openUdpSocket, type UdpSocket } from '../net/udp/udp-socket.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { type AlternateAddresses, planEndpoints } from './alternate-addresses.ts'
import { defaultRateLimits, type RateLimits, ResponseRateLimit } from './response-rate-limit.ts'
import { buildResponse, readRequest } from './stun-response.ts'
import { StunTcpServer } from './stun-tcp-server.ts'

/** How often the counts are reported, if they have changed. */
const reportIntervalMs = 60_000
/** A port that is free for UDP may be taken for TCP. If any port will do, another one is tried. */
const maxPortTries = 8

/** Numbers of datagrams and of TCP messages since the start. */
export type ServedCounts = {
  readonly answered: number
  /** Valid requests that the rate limit of their source, or the total one, has refused. */
  readonly limited: number
  /** Anything else than a valid Binding request. */
  readonly ignored: number
}

export type AddressServerOptions = {
  /** Port 0 means any. If a family has two addresses and two ports, all four combinations are opened. */
  readonly listen: readonly Endpoint[]
  readonly clock?: Clock
  readonly limits?: RateLimits
  /** For TCP connections. */
  readonly connectionLimit?: ConnectionLimits
  /** Called at most once a minute, when the counts have changed, and once at the end. */
  readonly onServed?: (counts: ServedCounts) => void
}

export interface AddressServer {
  /** As bound: those of `listen` in their order, then those added for RFC 5780. */
  readonly endpoints: readonly Endpoint[]
  /** The families with alternate addresses, for which all tests of RFC 5780 work. */
  readonly behaviour: readonly Family[]
  served(): ServedCounts
  close(): Promise<void>
}

/** Rejects with a Problem when one of the endpoints cannot be opened. Then none stays open. */
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
  readonly #endpoints: readonly Endpoint[]
  readonly #alternates: ReadonlyMap<Family, AlternateAddresses>
  /** By endpoint, as bound. */
  readonly #sockets = new Map<string, UdpSocket>()
  readonly #tcp: StunTcpServer
  #counts: ServedCounts = { answered: 0, limited: 0, ignored: 0 }
  #reported = this.#counts
  #cancelReport = (): void => {}

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
      accept: (bytes, from) => this.#accept(bytes, from),
    })
    const { endpoints, alternates } = planEndpoints(listen)
    this.#endpoints = endpoints
    this.#alternates = alternates
  }

  get endpoints(): readonly Endpoint[] {
    return [...this.#sockets.values()].map(({ local }) => local)
  }

  get behaviour(): readonly Family[] {
    return [...this.#alternates.keys()]
  }

  served(): ServedCounts {
    return this.#counts
  }

  async open(): Promise<void> {
    for (const endpoint of this.#endpoints) await this.#openEndpoint(endpoint)
    this.#scheduleReport()
  }

  async #openEndpoint({ address, port }: Endpoint): Promise<void> {
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
    this.#cancelReport()
    this.#tcp.close()
    await Promise.all([...this.#sockets.values()].map((socket) => socket.close()))
    this.#report()
  }

  #receive(socket: UdpSocket, bytes: Uint8Array, from: Endpoint): void {
    const request = this.#accept(bytes, from)
    if (!request) return
    const alternates = this.#alternates.get(socket.family) ?? null
    const answer = buildResponse(request, { from, to: socket.local }, alternates)
    this.#sockets.get(formatEndpoint(answer.from))?.send(answer.bytes, answer.to)
  }

  /** Null for an invalid request, and for one beyond the rate limit. */
  #accept(bytes: Uint8Array, from: Endpoint): StunRequest | null {
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

  #scheduleReport(): void {
    this.#cancelReport = this.#clock.after(reportIntervalMs, () => {
      this.#report()
      this.#scheduleReport()
    })
  }

  #report(): void {
    if (this.#reported === this.#counts) return
    this.#reported = this.#counts
    this.#onServed(this.#counts)
  }
}
