// Learns the public endpoint of one of our TCP ports by STUN over connections from that port (RFC 8489 §6.2.2).
// One connection stays open, so that the mapping still exists when a letter has arrived and a peer connects.
//
//      asking all ──answers agree──> known, one connection kept ──it ends──> asking one server after the other
//          └──they differ: the NAT has another port per destination──> no endpoint to announce

import { connect, type Socket } from 'node:net'
import { equalBytes } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { type Endpoint, equalEndpoints, type Family, familyOf } from '../../base/endpoint.ts'
import { decodeStun, encodeRequest, transactionIdBytes } from '../../nat/stun-message.ts'
import { stunSplitter } from '../../nat/stun-tcp-framing.ts'
import { anyAddress, freeTcpPort } from './tcp-dial.ts'

export type TcpNatMappingOptions = {
  readonly clock: Clock
  readonly randomBytes: Crypto['randomBytes']
  /** STUN servers of one family; the first few with different addresses are used. */
  readonly servers: readonly Endpoint[]
  /** Called when the endpoint became known late, changed, or was lost. */
  readonly onChange: () => void
}

const maxServers = 3
/** Time for the servers to answer; once one has answered, the others have only `restMs`. */
const answerTimeoutMs = 3_000
const restMs = 300
/** RFC 5382 requires TCP mappings to live two hours; in the field it is a minute or more. */
const requestAgainMs = 30_000
const firstBackoffMs = 1_000
const maxBackoffMs = 60_000

type OpenConnection = { readonly close: () => void }

export class TcpNatMapping {
  readonly #options: TcpNatMappingOptions
  readonly #servers: readonly Endpoint[]
  readonly #answers = new Map<Endpoint, Endpoint>()
  readonly #open = new Map<Endpoint, OpenConnection>()
  #port: number | null = null
  #endpoint: Endpoint | null = null
  #kept: Endpoint | null = null
  #isSettled = false
  #onSettled: () => void = () => {}
  #cancel: () => void = () => {}
  #nextServer = 0
  #backoffMs = firstBackoffMs
  #closed = false
  /** Resolves when the first answers have arrived or cannot arrive any more; a few seconds at most. */
  readonly settled: Promise<void>

  /** Starts at once. */
  constructor(options: TcpNatMappingOptions) {
    this.#options = options
    const addresses = new Set<string>()
    const distinct = options.servers.filter(
      ({ address }) => !addresses.has(address) && addresses.add(address),
    )
    this.#servers = distinct.slice(0, maxServers)
    this.settled = new Promise((resolve) => {
      this.#onSettled = resolve
    })
    void this.#start()
  }

  /** The port from which peers must be dialled; null while there is none. */
  get port(): number | null {
    return this.#endpoint ? this.#port : null
  }

  /** The public endpoint of the port; null while unknown, or when it differs per server. */
  get endpoint(): Endpoint | null {
    return this.#endpoint
  }

  close(): void {
    this.#closed = true
    this.#cancel()
    for (const { close } of [...this.#open.values()]) close()
    this.#open.clear()
    this.#onSettled()
  }

  async #start(): Promise<void> {
    const [first] = this.#servers
    const family: Family = first ? familyOf(first.address) : 4
    this.#port = first ? await freeTcpPort(family).catch(() => null) : null
    if (this.#closed || this.#port === null) {
      this.#settle()
      return
    }
    for (const server of this.#servers) this.#connectTo(server)
    this.#cancel = this.#options.clock.after(answerTimeoutMs, () => this.#settle())
  }

  /** Sends requests repeatedly until one side closes the connection. */
  #connectTo(server: Endpoint): void {
    const { clock, randomBytes } = this.#options
    const socket: Socket = connect({
      host: server.address,
      port: server.port,
      localPort: this.#port as number,
      localAddress: anyAddress[familyOf(server.address)],
      noDelay: true,
    })
    const splitter = stunSplitter()
    let transactionId = new Uint8Array(0)
    let cancel = () => {}
    const request = () => {
      transactionId = Uint8Array.from(randomBytes(transactionIdBytes))
      socket.write(encodeRequest(transactionId))
      cancel = clock.after(requestAgainMs, request)
    }
    socket.on('connect', request)
    socket.on('error', () => {})
    socket.on('close', () => {
      cancel()
      if (this.#open.delete(server)) this.#handleClose(server)
    })
    socket.on('data', (bytes) => {
      const messages = splitter.push(bytes)
      if (!messages) socket.destroy()
      for (const message of messages ?? []) {
        const decoding = decodeStun(message)
        if (!decoding.ok || decoding.message.type !== 'success') continue
        if (equalBytes(decoding.message.transactionId, transactionId))
          this.#handleAnswer(server, decoding.message.mapped)
      }
    })
    this.#open.set(server, {
      close: () => {
        this.#open.delete(server)
        cancel()
        socket.destroy()
      },
    })
  }

  #handleAnswer(server: Endpoint, mapped: Endpoint): void {
    const isFirst = this.#answers.size === 0
    this.#answers.set(server, mapped)
    if (this.#isSettled) this.#keep(server, mapped)
    else if (this.#answers.size === this.#servers.length) this.#settle()
    else if (isFirst) {
      this.#cancel()
      this.#cancel = this.#options.clock.after(restMs, () => this.#settle())
    }
  }

  /** Handles an answer after the first ones. */
  #keep(server: Endpoint, mapped: Endpoint): void {
    this.#backoffMs = firstBackoffMs
    this.#kept = server
    if (this.#endpoint && equalEndpoints(this.#endpoint, mapped)) return
    this.#endpoint = mapped
    this.#options.onChange()
  }

  #settle(): void {
    if (this.#isSettled || this.#closed) return
    this.#isSettled = true
    this.#cancel()
    const [answer] = this.#answers
    const isSame = [...this.#answers.values()].every((mapped) => answer && equalEndpoints(mapped, answer[1]))
    if (answer && isSame) {
      this.#kept = answer[0]
      this.#endpoint = answer[1]
    }
    for (const [server, { close }] of [...this.#open]) if (server !== this.#kept) close()
    // A NAT with another port per destination is not tested again: it will not change.
    if (this.#answers.size === 0 && this.#port !== null) this.#retryLater()
    this.#onSettled()
  }

  #handleClose(server: Endpoint): void {
    if (this.#closed) return
    if (!this.#isSettled) {
      if (this.#open.size === 0) this.#settle()
    } else if (this.#kept === null || this.#kept === server) this.#retryLater()
  }

  #retryLater(): void {
    this.#cancel()
    this.#cancel = this.#options.clock.after(this.#backoffMs, () => {
      const server = this.#servers[this.#nextServer++ % this.#servers.length]
      if (server && !this.#open.has(server)) this.#connectTo(server)
    })
    this.#backoffMs = Math.min(this.#backoffMs * 2, maxBackoffMs)
  }
}
