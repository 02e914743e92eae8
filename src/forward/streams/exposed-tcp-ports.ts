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
  readonly wholeBytes: (peerId: string) => number
  readonly counts: ForwarderCounts
}

/** Connecting to the game, or connected: until its stream is over. */
type Guest = { readonly peerId: string; readonly ownSeq: number; tcp: LocalEnd | null; isOpen: boolean }
/** What a wish that is granted gets. */
type Taken = { readonly guest: Guest; readonly allowance: Allowance }
/** Of one peer: wishes to open that it has left, and numbers that are over. */
type Record = { readonly wishes: TokenBucket; readonly past: Set<number> }

const wishes: Rate = { burst: 128, perSecond: 64 }
/** Numbers that are over, each peer: a copy of a wish that comes late opens nothing. */
const maxPast = 256
const connectWithinMs = 10_000

export class ExposedTcpPorts {
  readonly #options: ExposedTcpPortsOptions
  /** By peer and number; bounded by the budget. */
  readonly #connectionLimit = new Map<string, Guest>()
  /** Of linked peers. */
  readonly #records = new Map<string, Record>()
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
        this.#handleWish(peerId, number, () => this.#toPort(peerId, number, frame.port, frame.seq))
        return
      case 'open-named':
        this.#handleWish(peerId, number, () => this.#toDoor(peerId, number, frame.name, frame.seq))
        return
      case 'packet':
        if (!this.#table.receive(peerId, number, frame.packet)) this.#answerEnd(peerId, number, 'unknown')
        return
      case 'end': {
        const guest = this.#connectionLimit.get(`${peerId} ${number}`)
        if (guest && !guest.isOpen) guest.tcp?.destroy()
        else this.#table.endedByPeer(peerId, number, frame.reason)
        return
      }
    }
  }

  dropPeer(peerId: string): void {
    this.#records.delete(peerId)
    for (const guest of this.#connectionLimit.values())
      if (guest.peerId === peerId && !guest.isOpen) guest.tcp?.destroy()
    this.#table.dropPeer(peerId)
  }

  close(): void {
    for (const guest of this.#connectionLimit.values()) if (!guest.isOpen) guest.tcp?.destroy()
    this.#table.close()
    this.#records.clear()
  }

  #handleWish(peerId: string, number: number, admit: () => ((taken: Taken) => void) | null): void {
    const { budget, counts, random } = this.#options
    const key = `${peerId} ${number}`
    const known = this.#connectionLimit.get(key)
    if (known) {
      if (known.isOpen) this.#sayOpened(known, number)
      return
    }
    const record = this.#recordOf(peerId)
    if (record.past.has(number)) {
      this.#answerEnd(peerId, number, 'unknown')
      return
    }
    const fulfil = admit()
    if (!fulfil) {
      counts.notExposed++
      this.#answerEnd(peerId, number, 'not-exposed')
      return
    }
    const allowance = record.wishes.tryTake(this.#options.clock.now()) ? budget.take(peerId) : null
    if (!allowance) {
      counts.refusedStreams++
      this.#answerEnd(peerId, number, 'busy')
      return
    }
    const guest: Guest = { peerId, ownSeq: random(), tcp: null, isOpen: false }
    this.#connectionLimit.set(key, guest)
    fulfil({ guest, allowance })
  }

  #toPort(peerId: string, number: number, port: number, peerSeq: number) {
    if (!this.#options.isOpenTo(peerId, port)) return null
    return ({ guest, allowance }: Taken) => this.#connect(guest, number, port, peerSeq, allowance)
  }

  #toDoor(peerId: string, number: number, name: string, peerSeq: number) {
    const door = this.#options.streamHandlerOf(peerId, name)
    if (!door) return null
    return ({ guest, allowance }: Taken) => {
      const [ours, theirs] = joinedEnds()
      guest.tcp = ours
      this.#begin(guest, number, ours, peerSeq, allowance)
      door(peerId, theirs)
    }
  }

  /** IPv6's loopback where nobody listens on IPv4's: some games know only one. */
  #connect(
    guest: Guest,
    number: number,
    port: number,
    peerSeq: number,
    allowance: Allowance,
    family: 4 | 6 = 4,
  ): void {
    const { addresses, clock } = this.#options
    const { peerId } = guest
    const place =
      family === 4
        ? { host: '127.0.0.1', localAddress: addresses.of(peerId) }
        : { host: '::1', localAddress: '::1' }
    const tcp = connect({ ...place, port, allowHalfOpen: true })
    guest.tcp = tcp
    const cancel = clock.after(connectWithinMs, () => tcp.destroy())
    let code: string | undefined
    const noteError = (error: NodeJS.ErrnoException) => {
      code = error.code
    }
    const failed = () => {
      cancel()
      if (code === 'EADDRNOTAVAIL' && family === 4 && addresses.giveUp(place.localAddress)) {
        this.#connect(guest, number, port, peerSeq, allowance, 4)
      } else if (code === 'ECONNREFUSED' && family === 4) {
        this.#connect(guest, number, port, peerSeq, allowance, 6)
      } else {
        allowance.close()
        this.#forget(guest, number)
        this.#table.sayEnd(peerId, number, 'refused')
      }
    }
    tcp.on('error', noteError)
    tcp.on('close', failed)
    tcp.on('connect', () => {
      cancel()
      tcp.off('close', failed)
      this.#begin(guest, number, tcp, peerSeq, allowance)
    })
  }

  #begin(guest: Guest, number: number, tcp: LocalEnd, peerSeq: number, allowance: Allowance): void {
    const { peerId, ownSeq } = guest
    const { relay } = this.#options
    guest.isOpen = true
    tcp.on('close', () => this.#forget(guest, number))
    this.#table.add({ peerId, number, tcp, allowance, relay, ownSeq, peerSeq })
    this.#sayOpened(guest, number)
  }

  #sayOpened({ peerId, ownSeq }: Guest, number: number): void {
    this.#options.send(peerId, encodeStreamFrame({ kind: 'opened', number, seq: ownSeq }))
  }

  #forget({ peerId }: Guest, number: number): void {
    this.#connectionLimit.delete(`${peerId} ${number}`)
    const past = this.#records.get(peerId)?.past
    if (!past) return
    past.add(number)
    const [oldest] = past
    if (past.size > maxPast && oldest !== undefined) past.delete(oldest)
  }

  /** Said once: it is an answer, and the next question draws another. */
  #answerEnd(peerId: string, number: number, reason: EndReason): void {
    this.#options.send(peerId, encodeStreamFrame({ kind: 'end', towards: 'forwarding', number, reason }))
  }

  #recordOf(peerId: string): Record {
    let record = this.#records.get(peerId)
    if (!record) {
      record = { wishes: new TokenBucket(this.#options.clock.now(), wishes), past: new Set() }
      this.#records.set(peerId, record)
    }
    return record
  }
}
