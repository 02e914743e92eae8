// TCP servers here, TCP clients at the peers (`--expose tcp:PORT`): a peer's wish to open a stream makes a connection to
// the local game, from the address that stands for this peer, or a pair of ends in memory where the program itself opened
// the name.

import { connect } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { type Rate, TokenBucket } from '../../base/token-bucket.ts'
import type { ForwarderCounts } from '../forward-types.ts'
import type { OnStream } from '../named-services.ts'
import type { PeerLoopbackAddresses } from '../peer-loopback-addresses.ts'
import { joinedEnds, type LocalEnd } from './memory-duplex.ts'
import type { Allowance, StreamBudget } from './stream-budget.ts'
import { type EndReason, encodeStreamFrame, type StreamFrame } from './stream-frame.ts'
import { StreamTable } from './stream-table.ts'
import type { UdxRelay } from './udx-relay.ts'

type ExposedTcpPortsOptions = {
  readonly clock: Clock
  readonly relay: UdxRelay
  readonly budget: StreamBudget
  readonly random: () => number
  readonly addresses: PeerLoopbackAddresses
  /** Whether this peer may reach this TCP port. */
  readonly isOpenTo: (peerId: string, port: number) => boolean
  /** Who takes streams to this name; null when it is not open to this peer. */
  readonly streamHandlerOf: (peerId: string, name: string) => OnStream | null
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  readonly singlePacketBytes: (peerId: string) => number
  readonly counts: ForwarderCounts
}

/** Connecting to the game, or connected: until its stream is over. */
type Connection = { readonly peerId: string; readonly ownSeq: number; tcp: LocalEnd | null; isOpen: boolean }
/** What a request that is granted gets. */
type Granted = { readonly connection: Connection; readonly allowance: Allowance }
/** Of one peer: how many streams it may still ask for now, and numbers that are over. */
type PeerHistory = { readonly openRequests: TokenBucket; readonly past: Set<number> }

const openRequests: Rate = { burst: 128, perSecond: 64 }
/** Numbers that are over, each peer: a copy of a wish that comes late opens nothing. */
const maxPast = 256
const connectWithinMs = 10_000

export class ExposedTcpPorts {
  readonly #options: ExposedTcpPortsOptions
  /** By peer and number; bounded by the budget. */
  readonly #connections = new Map<string, Connection>()
  /** Of linked peers. */
  readonly #histories = new Map<string, PeerHistory>()
  readonly #table: StreamTable

  constructor(options: ExposedTcpPortsOptions) {
    this.#options = options
    this.#table = new StreamTable({
      ...options,
      towards: 'forwarding',
    })
  }

  handleFrame(
    peerId: string,
    frame: StreamFrame & { readonly kind: 'packet' | 'open' | 'open-named' | 'end' },
  ): void {
    const { number } = frame
    switch (frame.kind) {
      case 'open':
        this.#handleOpen(peerId, number, () => this.#toPort(peerId, number, frame.port, frame.seq))
        return
      case 'open-named':
        this.#handleOpen(peerId, number, () => this.#toService(peerId, number, frame.name, frame.seq))
        return
      case 'packet':
        if (!this.#table.receive(peerId, number, frame.packet)) this.#answerEnd(peerId, number, 'unknown')
        return
      case 'end': {
        const connection = this.#connections.get(`${peerId} ${number}`)
        if (connection && !connection.isOpen) connection.tcp?.destroy()
        else this.#table.endedByPeer(peerId, number, frame.reason)
        return
      }
    }
  }

  dropPeer(peerId: string): void {
    this.#histories.delete(peerId)
    for (const connection of this.#connections.values())
      if (connection.peerId === peerId && !connection.isOpen) connection.tcp?.destroy()
    this.#table.dropPeer(peerId)
  }

  close(): void {
    for (const connection of this.#connections.values()) if (!connection.isOpen) connection.tcp?.destroy()
    this.#table.close()
    this.#histories.clear()
  }

  #handleOpen(peerId: string, number: number, admit: () => ((taken: Granted) => void) | null): void {
    const { budget, counts, random } = this.#options
    const key = `${peerId} ${number}`
    const known = this.#connections.get(key)
    if (known) {
      if (known.isOpen) this.#sendOpened(known, number)
      return
    }
    const history = this.#historyOf(peerId)
    if (history.past.has(number)) {
      this.#answerEnd(peerId, number, 'unknown')
      return
    }
    const open = admit()
    if (!open) {
      counts.notExposed++
      this.#answerEnd(peerId, number, 'not-exposed')
      return
    }
    const allowance = history.openRequests.tryTake(this.#options.clock.now()) ? budget.take(peerId) : null
    if (!allowance) {
      counts.refusedStreams++
      this.#answerEnd(peerId, number, 'busy')
      return
    }
    const connection: Connection = { peerId, ownSeq: random(), tcp: null, isOpen: false }
    this.#connections.set(key, connection)
    open({ connection, allowance })
  }

  #toPort(peerId: string, number: number, port: number, peerSeq: number) {
    if (!this.#options.isOpenTo(peerId, port)) return null
    return ({ connection, allowance }: Granted) => this.#connect(connection, number, port, peerSeq, allowance)
  }

  #toService(peerId: string, number: number, name: string, peerSeq: number) {
    const handler = this.#options.streamHandlerOf(peerId, name)
    if (!handler) return null
    return ({ connection, allowance }: Granted) => {
      const [ours, theirs] = joinedEnds()
      connection.tcp = ours
      this.#begin(connection, number, ours, peerSeq, allowance)
      handler(peerId, theirs)
    }
  }

  /** IPv6's loopback where nobody listens on IPv4's: some games know only one. */
  #connect(
    connection: Connection,
    number: number,
    port: number,
    peerSeq: number,
    allowance: Allowance,
    family: 4 | 6 = 4,
  ): void {
    const { addresses, clock } = this.#options
    const { peerId } = connection
    const place =
      family === 4
        ? { host: '127.0.0.1', localAddress: addresses.of(peerId) }
        : { host: '::1', localAddress: '::1' }
    const tcp = connect({ ...place, port, allowHalfOpen: true })
    connection.tcp = tcp
    const cancel = clock.after(connectWithinMs, () => tcp.destroy())
    let code: string | undefined
    const noteError = (error: NodeJS.ErrnoException) => {
      code = error.code
    }
    const failed = () => {
      cancel()
      if (code === 'EADDRNOTAVAIL' && family === 4 && addresses.giveUp(place.localAddress)) {
        this.#connect(connection, number, port, peerSeq, allowance, 4)
      } else if (code === 'ECONNREFUSED' && family === 4) {
        this.#connect(connection, number, port, peerSeq, allowance, 6)
      } else {
        allowance.close()
        this.#forget(connection, number)
        this.#table.sendEnd(peerId, number, 'refused')
      }
    }
    tcp.on('error', noteError)
    tcp.on('close', failed)
    tcp.on('connect', () => {
      cancel()
      tcp.off('close', failed)
      this.#begin(connection, number, tcp, peerSeq, allowance)
    })
  }

  #begin(connection: Connection, number: number, tcp: LocalEnd, peerSeq: number, allowance: Allowance): void {
    const { peerId, ownSeq } = connection
    const { relay } = this.#options
    connection.isOpen = true
    tcp.on('close', () => this.#forget(connection, number))
    this.#table.add({ peerId, number, tcp, allowance, relay, ownSeq, peerSeq })
    this.#sendOpened(connection, number)
  }

  #sendOpened({ peerId, ownSeq }: Connection, number: number): void {
    this.#options.send(peerId, encodeStreamFrame({ kind: 'opened', number, seq: ownSeq }))
  }

  #forget({ peerId }: Connection, number: number): void {
    this.#connections.delete(`${peerId} ${number}`)
    const past = this.#histories.get(peerId)?.past
    if (!past) return
    past.add(number)
    const [oldest] = past
    if (past.size > maxPast && oldest !== undefined) past.delete(oldest)
  }

  /** Said once: it is an answer, and the next question draws another. */
  #answerEnd(peerId: string, number: number, reason: EndReason): void {
    this.#options.send(peerId, encodeStreamFrame({ kind: 'end', towards: 'forwarding', number, reason }))
  }

  #historyOf(peerId: string): PeerHistory {
    let history = this.#histories.get(peerId)
    if (!history) {
      history = { openRequests: new TokenBucket(this.#options.clock.now(), openRequests), past: new Set() }
      this.#histories.set(peerId, history)
    }
    return history
  }
}
