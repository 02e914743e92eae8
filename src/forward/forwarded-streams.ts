// TCP clients here, TCP servers at the peers (`--forward tcp:…`): each connection to a local port opens a stream.

import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import type { Forward, ForwarderCounts } from './forwarder.ts'
import type { Allowance, StreamBudget } from './stream-budget.ts'
import { encodeStreamFrame, type StreamFrame } from './stream-frame.ts'
import { StreamTable } from './stream-table.ts'
import type { UdxRelay } from './udx-relay.ts'

export type ForwardedStreamsOptions = {
  readonly clock: Clock
  readonly relay: UdxRelay
  readonly budget: StreamBudget
  readonly random: () => number
  /** The linked peer a forward to this nickname leads to now. */
  readonly peerOf: (nick: string) => string | undefined
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  readonly wholeBytes: (peerId: string) => number
  readonly counts: ForwarderCounts
}

/** Waiting for the peer's game to take the connection. */
type Opening = {
  readonly peerId: string
  readonly tcp: Socket
  readonly allowance: Allowance
  readonly ownSeq: number
  stop: () => void
}

/** The wish to open is repeated after this time, then half as long again each time. */
const firstRepeatMs = 200
const openWithinMs = 15_000

export class ForwardedStreams {
  readonly #options: ForwardedStreamsOptions
  /** By peer and number; bounded by the budget. */
  readonly #openings = new Map<string, Opening>()
  readonly #table: StreamTable

  constructor(options: ForwardedStreamsOptions) {
    this.#options = options
    this.#table = new StreamTable({ ...options, towards: 'exposing' })
  }

  /** A TCP client came to a local port. */
  take({ nick, port }: Forward, tcp: Socket): void {
    const { budget, counts, peerOf, random } = this.#options
    const peerId = peerOf(nick)
    const allowance = peerId === undefined ? null : budget.take(peerId)
    if (peerId === undefined || !allowance) {
      counts[peerId === undefined ? 'notLinked' : 'refusedStreams']++
      tcp.on('error', () => {})
      tcp.resetAndDestroy()
      return
    }
    let number = random()
    while (this.#openings.has(`${peerId} ${number}`) || this.#table.has(peerId, number)) number = random()
    const opening: Opening = { peerId, tcp, allowance, ownSeq: random(), stop: () => {} }
    this.#openings.set(`${peerId} ${number}`, opening)
    const giveUp = () => {
      if (this.#settle(peerId, number)) this.#table.sayEnd(peerId, number, 'reset')
    }
    tcp.on('error', giveUp)
    tcp.on('close', giveUp)
    this.#ask(opening, number, port)
  }

  handleFrame(peerId: string, frame: StreamFrame & { readonly kind: 'packet' | 'opened' | 'end' }): void {
    const { number } = frame
    switch (frame.kind) {
      case 'opened':
        this.#opened(peerId, number, frame.seq)
        return
      case 'packet':
        if (this.#table.receive(peerId, number, frame.packet)) return
        // The peer's first words may overtake its `opened`; they come again.
        if (!this.#openings.has(`${peerId} ${number}`)) this.#disown(peerId, number)
        return
      case 'end': {
        const opening = this.#settle(peerId, number)
        if (opening) refuse(opening)
        else this.#table.endedByPeer(peerId, number, frame.reason)
        return
      }
    }
  }

  dropPeer(peerId: string): void {
    for (const [key, opening] of this.#openings)
      if (opening.peerId === peerId) {
        this.#forget(key, opening)
        refuse(opening)
      }
    this.#table.dropPeer(peerId)
  }

  close(): void {
    for (const [key, opening] of this.#openings) {
      this.#forget(key, opening)
      refuse(opening)
    }
    this.#table.close()
  }

  #ask(opening: Opening, number: number, port: number): void {
    const { clock, send } = this.#options
    const { peerId, ownSeq } = opening
    const wish = encodeStreamFrame({ kind: 'open', number, port, seq: ownSeq })
    const from = clock.now()
    const say = (waitMs: number): void => {
      if (clock.now() - from >= openWithinMs) {
        if (this.#settle(peerId, number)) refuse(opening)
        this.#table.sayEnd(peerId, number, 'reset')
        return
      }
      send(peerId, wish)
      opening.stop = clock.after(waitMs, () => say(waitMs * 1.5))
    }
    say(firstRepeatMs)
  }

  #opened(peerId: string, number: number, peerSeq: number): void {
    const opening = this.#settle(peerId, number)
    if (!opening) {
      if (!this.#table.has(peerId, number)) this.#disown(peerId, number)
      return
    }
    const { tcp, allowance, ownSeq } = opening
    const { relay } = this.#options
    this.#table.add({ peerId, number, tcp, allowance, relay, ownSeq, peerSeq })
  }

  /** Said once: it is an answer, and the next question draws another. */
  #disown(peerId: string, number: number): void {
    const end = encodeStreamFrame({ kind: 'end', towards: 'exposing', number, reason: 'unknown' })
    this.#options.send(peerId, end)
  }

  #settle(peerId: string, number: number): Opening | undefined {
    const key = `${peerId} ${number}`
    const opening = this.#openings.get(key)
    if (opening) this.#forget(key, opening)
    return opening
  }

  #forget(key: string, opening: Opening): void {
    opening.stop()
    this.#openings.delete(key)
  }
}

function refuse({ tcp, allowance }: Opening): void {
  allowance.close()
  tcp.resetAndDestroy()
}
