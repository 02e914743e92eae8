// Where the NAT puts a TCP port of ours: learned by STUN in connections from that very port (RFC 8489 §6.2.2), of which one
// is kept, so that the mapping is still there when a letter has travelled and a peer opens a connection to it.
//
//      asking all ──answers agree──> known, one connection kept ──it ends──> asking one after the other
//          └──they differ: the NAT has another port for each destination──> nothing that could be told to others

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
  /** Of one family; the first few at different addresses are asked. */
  readonly servers: readonly Endpoint[]
  /** The first endpoint that came late, another one, or none any more. */
  readonly onNews: () => void
}

const maxServers = 3
/** Servers have so long to answer; the others less once one has. */
const answerMs = 3_000
const restMs = 300
/** The shortest lifetime of a TCP mapping that RFC 5382 allows is two hours; in the field it is a minute or more. */
const askAgainMs = 30_000
const firstBackoffMs = 1_000
const longestBackoffMs = 60_000

type Conversation = { readonly close: () => void }

export class TcpNatMapping {
  readonly #options: TcpNatMappingOptions
  readonly #servers: readonly Endpoint[]
  readonly #answers = new Map<Endpoint, Endpoint>()
  readonly #open = new Map<Endpoint, Conversation>()
  #port: number | null = null
  #endpoint: Endpoint | null = null
  #kept: Endpoint | null = null
  #isSettled = false
  #onSettled: () => void = () => {}
  #cancel: () => void = () => {}
  #nextServer = 0
  #backoffMs = firstBackoffMs
  #closed = false
  /** The first answers are there, or none will come; a few seconds at most. */
  readonly settled: Promise<void>

  /** Starts asking at once. */
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

  /** The port that is kept, from which peers are to be called; null while there is none. */
  get port(): number | null {
    return this.#endpoint ? this.#port : null
  }

  /** As servers see it; null while unknown, or where it is another for each of them. */
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
    for (const server of this.#servers) this.#talk(server)
    this.#cancel = this.#options.clock.after(answerMs, () => this.#settle())
  }

  /** Asks at once and again and again, until one side hangs up. */
  #talk(server: Endpoint): void {
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
    const ask = () => {
      transactionId = Uint8Array.from(randomBytes(transactionIdBytes))
      socket.write(encodeRequest(transactionId))
      cancel = clock.after(askAgainMs, ask)
    }
    socket.on('connect', ask)
    socket.on('error', () => {})
    socket.on('close', () => {
      cancel()
      if (this.#open.delete(server)) this.#hungUp(server)
    })
    socket.on('data', (bytes) => {
      const messages = splitter.push(bytes)
      if (!messages) socket.destroy()
      for (const message of messages ?? []) {
        const decoding = decodeStun(message)
        if (!decoding.ok || decoding.message.type !== 'success') continue
        if (equalBytes(decoding.message.transactionId, transactionId))
          this.#hear(server, decoding.message.mapped)
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

  #hear(server: Endpoint, mapped: Endpoint): void {
    const isFirst = this.#answers.size === 0
    this.#answers.set(server, mapped)
    if (this.#isSettled) this.#keep(server, mapped)
    else if (this.#answers.size === this.#servers.length) this.#settle()
    else if (isFirst) {
      this.#cancel()
      this.#cancel = this.#options.clock.after(restMs, () => this.#settle())
    }
  }

  /** Of one who answers later, or again. */
  #keep(server: Endpoint, mapped: Endpoint): void {
    this.#backoffMs = firstBackoffMs
    this.#kept = server
    if (this.#endpoint && equalEndpoints(this.#endpoint, mapped)) return
    this.#endpoint = mapped
    this.#options.onNews()
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
    // Whoever has another port for each destination is not asked again: it will have the next time.
    if (this.#answers.size === 0 && this.#port !== null) this.#later()
    this.#onSettled()
  }

  #hungUp(server: Endpoint): void {
    if (this.#closed) return
    if (!this.#isSettled) {
      if (this.#open.size === 0) this.#settle()
    } else if (this.#kept === null || this.#kept === server) this.#later()
  }

  #later(): void {
    this.#cancel()
    this.#cancel = this.#options.clock.after(this.#backoffMs, () => {
      const server = this.#servers[this.#nextServer++ % this.#servers.length]
      if (server && !this.#open.has(server)) this.#talk(server)
    })
    this.#backoffMs = Math.min(this.#backoffMs * 2, longestBackoffMs)
  }
}
