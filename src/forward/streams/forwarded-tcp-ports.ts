// The forwarded TCP ports of this side (`--forward tcp:…`). Each connection to a local port opens a stream to a peer. The
// surrounding program can also open a stream to a name that the peer's program has opened.

import type { Duplex } from 'node:stream'
import type { Clock } from '../../base/clock.ts'
import { Problem } from '../../base/problem.ts'
import type { Forward, ForwarderCounts } from '../forward-types.ts'
import { createDuplexPair, type LocalEnd } from './memory-duplex.ts'
import type { Allowance, StreamBudget } from './stream-budget.ts'
import { type EndReason, encodeStreamFrame, type StreamFrame } from './stream-frame.ts'
import { StreamTable } from './stream-table.ts'
import type { UdxRelay } from './udx-relay.ts'

type ForwardedTcpPortsOptions = {
  readonly clock: Clock
  readonly relay: UdxRelay
  readonly budget: StreamBudget
  readonly random: () => number
  /** The ID of the linked peer that a forward to this nickname leads to now. */
  readonly peerOf: (nick: string) => string | undefined
  readonly send: (peerId: string, bytes: Uint8Array) => boolean
  readonly maxUnfragmentedBytes: (peerId: string) => number
  readonly counts: ForwarderCounts
}

/** A stream that waits until the peer's game accepts the connection. */
type PendingOpen = {
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

/** The open request is repeated after this time. The interval then grows by half each time. */
const firstRetryMs = 200
const openTimeoutMs = 15_000

export class ForwardedTcpPorts {
  readonly #options: ForwardedTcpPortsOptions
  /** By peer and stream number. Bounded by the budget. */
  readonly #pendingOpens = new Map<string, PendingOpen>()
  readonly #table: StreamTable

  constructor(options: ForwardedTcpPortsOptions) {
    this.#options = options
    this.#table = new StreamTable({ ...options, towards: 'exposing' })
  }

  /** A TCP client has connected to a local port. */
  handleClient({ nick, port }: Forward, tcp: LocalEnd): void {
    const { budget, counts, peerOf } = this.#options
    const peerId = peerOf(nick)
    const allowance = peerId === undefined ? null : budget.take(peerId)
    if (peerId === undefined || !allowance) {
      counts[peerId === undefined ? 'notLinked' : 'refusedStreams']++
      tcp.on('error', () => {})
      tcp.resetAndDestroy()
      return
    }
    this.#startOpening({ peerId, tcp, allowance }, { port })
  }

  /** Resolves when the peer's program has accepted the stream. Rejects with a Problem `peer`. */
  open(peerId: string, name: string): Promise<Duplex> {
    const { budget, counts } = this.#options
    const allowance = budget.take(peerId)
    if (!allowance) {
      counts.refusedStreams++
      return Promise.reject(refusalProblem(name, 'busy'))
    }
    const [ours, theirs] = createDuplexPair()
    return new Promise((resolve, reject) => {
      const onOpened = () => resolve(theirs)
      const onRefused = (reason: EndReason) => reject(refusalProblem(name, reason))
      this.#startOpening({ peerId, tcp: ours, allowance, onOpened, onRefused }, { name })
    })
  }

  #startOpening(
    request: Pick<PendingOpen, 'peerId' | 'tcp' | 'allowance'> & Partial<PendingOpen>,
    target: Target,
  ): void {
    const { random } = this.#options
    const { peerId, tcp } = request
    let number = random()
    while (this.#pendingOpens.has(`${peerId} ${number}`) || this.#table.has(peerId, number)) number = random()
    const pending: PendingOpen = {
      onOpened: () => {},
      onRefused: () => {},
      stop: () => {},
      ownSeq: random(),
      ...request,
    }
    this.#pendingOpens.set(`${peerId} ${number}`, pending)
    const abort = () => {
      if (this.#takePending(peerId, number)) this.#table.sendEnd(peerId, number, 'reset')
    }
    tcp.on('error', abort)
    tcp.on('close', abort)
    this.#requestOpen(pending, number, target)
  }

  handleFrame(peerId: string, frame: StreamFrame & { readonly kind: 'packet' | 'opened' | 'end' }): void {
    const { number } = frame
    switch (frame.kind) {
      case 'opened':
        this.#handleOpened(peerId, number, frame.seq)
        return
      case 'packet':
        if (this.#table.receive(peerId, number, frame.packet)) return
        // The peer's first packets may overtake its `opened`. It will repeat them.
        if (!this.#pendingOpens.has(`${peerId} ${number}`)) this.#sendUnknown(peerId, number)
        return
      case 'end': {
        const pending = this.#takePending(peerId, number)
        if (pending) refuse(pending, frame.reason)
        else this.#table.handlePeerEnd(peerId, number, frame.reason)
        return
      }
    }
  }

  dropPeer(peerId: string): void {
    for (const [key, pending] of this.#pendingOpens)
      if (pending.peerId === peerId) {
        this.#removePending(key, pending)
        refuse(pending)
      }
    this.#table.dropPeer(peerId)
  }

  close(): void {
    for (const [key, pending] of this.#pendingOpens) {
      this.#removePending(key, pending)
      refuse(pending)
    }
    this.#table.close()
  }

  #requestOpen(pending: PendingOpen, number: number, target: Target): void {
    const { clock, send } = this.#options
    const { peerId, ownSeq } = pending
    const request = encodeStreamFrame(
      'port' in target
        ? { kind: 'open', number, port: target.port, seq: ownSeq }
        : { kind: 'open-named', number, name: target.name, seq: ownSeq },
    )
    const startedAt = clock.now()
    const sendRequest = (waitMs: number): void => {
      if (clock.now() - startedAt >= openTimeoutMs) {
        if (this.#takePending(peerId, number)) refuse(pending, 'refused')
        this.#table.sendEnd(peerId, number, 'reset')
        return
      }
      send(peerId, request)
      pending.stop = clock.after(waitMs, () => sendRequest(waitMs * 1.5))
    }
    sendRequest(firstRetryMs)
  }

  #handleOpened(peerId: string, number: number, peerSeq: number): void {
    const pending = this.#takePending(peerId, number)
    if (!pending) {
      if (!this.#table.has(peerId, number)) this.#sendUnknown(peerId, number)
      return
    }
    const { tcp, allowance, ownSeq } = pending
    const { relay } = this.#options
    this.#table.add({ peerId, number, tcp, allowance, relay, ownSeq, peerSeq })
    pending.onOpened()
  }

  /** Sent once. If it is lost, the peer's next frame causes another. */
  #sendUnknown(peerId: string, number: number): void {
    const end = encodeStreamFrame({ kind: 'end', towards: 'exposing', number, reason: 'unknown' })
    this.#options.send(peerId, end)
  }

  #takePending(peerId: string, number: number): PendingOpen | undefined {
    const key = `${peerId} ${number}`
    const pending = this.#pendingOpens.get(key)
    if (pending) this.#removePending(key, pending)
    return pending
  }

  #removePending(key: string, pending: PendingOpen): void {
    pending.stop()
    this.#pendingOpens.delete(key)
  }
}

function refuse({ tcp, allowance, onRefused }: PendingOpen, reason: EndReason = 'reset'): void {
  allowance.close()
  tcp.resetAndDestroy()
  onRefused(reason)
}

function refusalProblem(name: string, reason: EndReason): Problem {
  switch (reason) {
    case 'not-exposed':
      return new Problem('peer', `The player accepts no streams to "${name}" from you.`, 'Agree on the name.')
    case 'busy':
      return new Problem('peer', 'There are too many streams.', 'End some that are not needed.')
    case 'refused':
      return new Problem('peer', `The player did not answer the request for "${name}".`, 'Try again later.')
    default:
      return new Problem('peer', 'The connection to the player ended.', 'Wait until it is back.')
  }
}
