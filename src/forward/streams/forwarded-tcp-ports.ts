// TCP clients here, TCP servers at the peers (`--forward tcp:…`): each connection to a local port opens a stream. So does
// the program itself, to a name that the peer's program has opened.

import type { Duplex } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import { Problem } from '../../base/problem.ts'
import type { Forward, ForwarderCounts } from '../forward-types.ts'
import { joinedEnds, type LocalEnd } from './memory-duplex.ts'
import type { Allowance, StreamBudget } from './stream-budget.ts'
import { type EndReason, encodeStreamFrame, type StreamFrame } from './stream-frame.ts'
import { StreamTable } from './stream-table.ts'
import type { UdxRelay } from './udx-relay.ts'

type ForwardedTcpPortsOptions = {
  readonly clock: Clock
  readonly relay: UdxRelay
  readonly budget: StreamBudget
  readonly random: () => number
  /** The linked peer a forward to this nickname leads to now. */
  readonly peerOf: (nick: string) => string | undefined
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  readonly singlePacketBytes: (peerId: string) => number
  readonly counts: ForwarderCounts
}

/** Waiting for the peer's game to take the connection. */
type Opening = {
  readonly peerId: string
  readonly tcp: LocalEnd
  readonly allowance: Allowance
  readonly ownSeq: number
  readonly onOpened: () => void
  readonly onRefused: (reason: EndReason) => void
  stop: () => void
}

/** A port that the peer exposes, or a name that its program has opened. */
type Target = { readonly port: number } | { readonly name: string }

/** The wish to open is repeated after this time, then half as long again each time. */
const firstRepeatMs = 200
const openWithinMs = 15_000

export class ForwardedTcpPorts {
  readonly #options: ForwardedTcpPortsOptions
  /** By peer and number; bounded by the budget. */
  readonly #openings = new Map<string, Opening>()
  readonly #table: StreamTable

  constructor(options: ForwardedTcpPortsOptions) {
    this.#options = options
    this.#table = new StreamTable({ ...options, towards: 'exposing' })
  }

  /** A TCP client came to a local port. */
  take({ nick, port }: Forward, tcp: LocalEnd): void {
    const { budget, counts, peerOf } = this.#options
    const peerId = peerOf(nick)
    const allowance = peerId === undefined ? null : budget.take(peerId)
    if (peerId === undefined || !allowance) {
      counts[peerId === undefined ? 'notLinked' : 'refusedStreams']++
      tcp.on('error', () => {})
      tcp.resetAndDestroy()
      return
    }
    this.#begin({ peerId, tcp, allowance }, { port })
  }

  /** Resolves when the peer's program has taken the stream; rejects with a Problem `peer`. */
  open(peerId: string, name: string): Promise<Duplex> {
    const { budget, counts } = this.#options
    const allowance = budget.take(peerId)
    if (!allowance) {
      counts.refusedStreams++
      return Promise.reject(refusalOf(name, 'busy'))
    }
    const [ours, theirs] = joinedEnds()
    return new Promise((resolve, reject) => {
      const onOpened = () => resolve(theirs)
      const onRefused = (reason: EndReason) => reject(refusalOf(name, reason))
      this.#begin({ peerId, tcp: ours, allowance, onOpened, onRefused }, { name })
    })
  }

  #begin(wish: Pick<Opening, 'peerId' | 'tcp' | 'allowance'> & Partial<Opening>, target: Target): void {
    const { random } = this.#options
    const { peerId, tcp } = wish
    let number = random()
    while (this.#openings.has(`${peerId} ${number}`) || this.#table.has(peerId, number)) number = random()
    const opening: Opening = {
      onOpened: () => {},
      onRefused: () => {},
      stop: () => {},
      ownSeq: random(),
      ...wish,
    }
    this.#openings.set(`${peerId} ${number}`, opening)
    const giveUp = () => {
      if (this.#settle(peerId, number)) this.#table.sendEnd(peerId, number, 'reset')
    }
    tcp.on('error', giveUp)
    tcp.on('close', giveUp)
    this.#ask(opening, number, target)
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
        if (opening) refuse(opening, frame.reason)
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

  #ask(opening: Opening, number: number, target: Target): void {
    const { clock, send } = this.#options
    const { peerId, ownSeq } = opening
    const wish = encodeStreamFrame(
      'port' in target
        ? { kind: 'open', number, port: target.port, seq: ownSeq }
        : { kind: 'open-named', number, name: target.name, seq: ownSeq },
    )
    const from = clock.now()
    const say = (waitMs: number): void => {
      if (clock.now() - from >= openWithinMs) {
        if (this.#settle(peerId, number)) refuse(opening, 'refused')
        this.#table.sendEnd(peerId, number, 'reset')
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
    opening.onOpened()
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

function refuse({ tcp, allowance, onRefused }: Opening, reason: EndReason = 'reset'): void {
  allowance.close()
  tcp.resetAndDestroy()
  onRefused(reason)
}

function refusalOf(name: string, reason: EndReason): Problem {
  switch (reason) {
    case 'not-exposed':
      return new Problem('peer', `The player takes no streams to "${name}" from you.`, 'Agree on the name.')
    case 'busy':
      return new Problem('peer', 'There are too many streams.', 'End some that are not needed.')
    case 'refused':
      return new Problem('peer', `The player did not answer the wish for "${name}".`, 'Try again later.')
    default:
      return new Problem('peer', 'The connection to the player ended.', 'Wait until it is back.')
  }
}
