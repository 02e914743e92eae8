// The exposed TCP ports and named streams of this side (`--expose tcp:PORT`). When a peer opens a stream to a port, we
// connect to the local game from the peer's loopback address. For a stream to a name, we create a pair of connected
// streams in memory.

import { connect } from 'node:net'
import type { Clock } from '../../base/clock.ts'
import { type Rate, TokenBucket } from '../../base/token-bucket.ts'
import type { ForwarderCounts } from '../forward-types.ts'
import type { OnStream } from '../named-services.ts'
import type { PeerLoopbackAddresses } from '../peer-loopback-addresses.ts'
import { createDuplexPair, type LocalEnd } from './memory-duplex.ts'
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
  /** True when this peer may use this TCP port. */
  readonly isAllowed: (peerId: string, port: number) => boolean
  /** The handler for streams to this name. Null when the name is not open to this peer. */
  readonly streamHandlerOf: (peerId: string, name: string) => OnStream | null
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  readonly maxUnfragmentedBytes: (peerId: string) => number
  readonly counts: ForwarderCounts
}

/** Exists from the attempt to connect to the game until its stream is over. */
type Connection = { readonly peerId: string; readonly ownSeq: number; tcp: LocalEnd | null; isOpen: boolean }
/** An accepted open request. */
type AcceptedOpen = { readonly connection: Connection; readonly allowance: Allowance }
/** The open requests that a peer may still make now, and the stream numbers that are over. */
type PeerHistory = { readonly openRequests: TokenBucket; readonly ended: Set<number> }

const openRequests: Rate = { burst: 128, perSecond: 64 }
/** Ended stream numbers per peer, so that a late copy of an open request opens nothing. When full, the oldest goes. */
const maxEnded = 256
const connectTimeoutMs = 10_000

export class ExposedTcpPorts {
  readonly #options: ExposedTcpPortsOptions
  /** By peer and stream number. Bounded by the budget. */
  readonly #connections = new Map<string, Connection>()
  /** By peer ID. Contains only linked peers. */
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
        this.#handleOpen(peerId, number, () => this.#acceptPort(peerId, number, frame.port, frame.seq))
        return
      case 'open-named':
        this.#handleOpen(peerId, number, () => this.#acceptService(peerId, number, frame.name, frame.seq))
        return
      case 'packet':
        if (!this.#table.receive(peerId, number, frame.packet))
          this.#sendUnrepeatedEnd(peerId, number, 'unknown')
        return
      case 'end': {
        const connection = this.#connections.get(`${peerId} ${number}`)
        if (connection && !connection.isOpen) connection.tcp?.destroy()
        else this.#table.handlePeerEnd(peerId, number, frame.reason)
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

  #handleOpen(peerId: string, number: number, accept: () => ((accepted: AcceptedOpen) => void) | null): void {
    const { budget, counts, random } = this.#options
    const key = `${peerId} ${number}`
    const known = this.#connections.get(key)
    if (known) {
      if (known.isOpen) this.#sendOpened(known, number)
      return
    }
    const history = this.#historyOf(peerId)
    if (history.ended.has(number)) {
      this.#sendUnrepeatedEnd(peerId, number, 'unknown')
      return
    }
    const open = accept()
    if (!open) {
      counts.notExposed++
      this.#sendUnrepeatedEnd(peerId, number, 'not-exposed')
      return
    }
    const allowance = history.openRequests.tryTake(this.#options.clock.now()) ? budget.take(peerId) : null
    if (!allowance) {
      counts.refusedStreams++
      this.#sendUnrepeatedEnd(peerId, number, 'busy')
      return
    }
    const connection: Connection = { peerId, ownSeq: random(), tcp: null, isOpen: false }
    this.#connections.set(key, connection)
    open({ connection, allowance })
  }

  #acceptPort(peerId: string, number: number, port: number, peerSeq: number) {
    if (!this.#options.isAllowed(peerId, port)) return null
    return ({ connection, allowance }: AcceptedOpen) =>
      this.#connect(connection, number, port, peerSeq, allowance)
  }

  #acceptService(peerId: string, number: number, name: string, peerSeq: number) {
    const handler = this.#options.streamHandlerOf(peerId, name)
    if (!handler) return null
    return ({ connection, allowance }: AcceptedOpen) => {
      const [ours, theirs] = createDuplexPair()
      connection.tcp = ours
      this.#startStream(connection, number, ours, peerSeq, allowance)
      handler(peerId, theirs)
    }
  }

  /** Tries ::1 when nothing listens on 127.0.0.1, because some games listen on one address only. */
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
    const endpoints =
      family === 4
        ? { host: '127.0.0.1', localAddress: addresses.of(peerId) }
        : { host: '::1', localAddress: '::1' }
    const tcp = connect({ ...endpoints, port, allowHalfOpen: true })
    connection.tcp = tcp
    const cancel = clock.after(connectTimeoutMs, () => tcp.destroy())
    let code: string | undefined
    const handleError = (error: NodeJS.ErrnoException) => {
      code = error.code
    }
    const handleClose = () => {
      cancel()
      if (code === 'EADDRNOTAVAIL' && family === 4 && addresses.reportUnusable(endpoints.localAddress)) {
        this.#connect(connection, number, port, peerSeq, allowance, 4)
      } else if (code === 'ECONNREFUSED' && family === 4) {
        this.#connect(connection, number, port, peerSeq, allowance, 6)
      } else {
        allowance.close()
        this.#forget(connection, number)
        this.#table.sendEnd(peerId, number, 'refused')
      }
    }
    tcp.on('error', handleError)
    tcp.on('close', handleClose)
    tcp.on('connect', () => {
      cancel()
      tcp.off('close', handleClose)
      this.#startStream(connection, number, tcp, peerSeq, allowance)
    })
  }

  #startStream(
    connection: Connection,
    number: number,
    tcp: LocalEnd,
    peerSeq: number,
    allowance: Allowance,
  ): void {
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
    const ended = this.#histories.get(peerId)?.ended
    if (!ended) return
    ended.add(number)
    const [oldest] = ended
    if (ended.size > maxEnded && oldest !== undefined) ended.delete(oldest)
  }

  /** Sent once. If it is lost, the peer's next frame causes another. */
  #sendUnrepeatedEnd(peerId: string, number: number, reason: EndReason): void {
    this.#options.send(peerId, encodeStreamFrame({ kind: 'end', towards: 'forwarding', number, reason }))
  }

  #historyOf(peerId: string): PeerHistory {
    let history = this.#histories.get(peerId)
    if (!history) {
      history = { openRequests: new TokenBucket(this.#options.clock.now(), openRequests), ended: new Set() }
      this.#histories.set(peerId, history)
    }
    return history
  }
}
