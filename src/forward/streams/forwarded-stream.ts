// One forwarded TCP connection: the local socket and the pipe to the peer, with back-pressure and half-close from end to
// end (A7, A10).
//
//      TCP socket ──read──> records ──> pipe        only as much data as the peer gave credit for
//      TCP socket <─write── records <── pipe        we give new credit when the local program reads the data
//
// The stream is over when both sides have sent their end and know that it arrived, or when one side has failed.

import {
  creditRecord,
  dataHeader,
  endRecord,
  initialCreditBytes,
  maxDataBytes,
  RecordReader,
  resetRecord,
} from './flow-control-records.ts'
import type { LocalEnd } from './memory-duplex.ts'
import { type Allowance, maxWindowBytes } from './stream-budget.ts'
import type { EndReason } from './stream-frame.ts'
import type { Pipe, PipeOptions } from './udx-relay.ts'

/** A peer that gives more credit than this violates the protocol. */
const maxCreditBytes = 2 * maxWindowBytes
/** Space beyond the window for record headers and credit records, which need no credit. */
const overheadBytes = 65_536
const nothing = new Uint8Array(0)

type StreamOptions = {
  /** Must allow half-open connections. Nothing was read from it yet. */
  readonly tcp: LocalEnd
  readonly allowance: Allowance
  readonly createPipe: (
    handlers: Pick<PipeOptions, 'maxBytesAhead' | 'onData' | 'onDrain' | 'onLost'>,
  ) => Pipe
  /** Called exactly once, as the last callback. */
  readonly onOver: (reason: EndReason) => void
}

export class ForwardedStream {
  readonly #tcp: LocalEnd
  readonly #pipe: Pipe
  readonly #allowance: Allowance
  readonly #onOver: StreamOptions['onOver']
  readonly #records = new RecordReader()
  /** Data bytes that we may still send. */
  #credit = initialCreditBytes
  /** Data bytes written to the local program but not read by it yet. */
  #unreadBytes = 0
  /** Data bytes that the local program has read since we last gave credit, and since the window last grew. */
  #readSinceCredit = 0
  #readSinceGrowth = 0
  #pipeIsFull = false
  #isCorked = false
  #hasSentEnd = false
  #hasEndArrived = false
  /** The TCP socket has failed. The peer does not know it yet. */
  #hasTcpFailed = false
  #hasReceivedEnd = false
  #over = false

  constructor({ tcp, allowance, createPipe, onOver }: StreamOptions) {
    this.#tcp = tcp
    this.#allowance = allowance
    this.#onOver = onOver
    tcp.setNoDelay(true)
    this.#pipe = createPipe({
      maxBytesAhead: () => allowance.windowBytes + overheadBytes,
      onData: (bytes) => this.#receive(bytes),
      onDrain: () => {
        this.#pipeIsFull = false
        this.#pump()
      },
      onLost: () => this.break('reset'),
    })
    tcp.on('readable', () => this.#pump())
    tcp.on('end', () => this.#sendEnd())
    tcp.on('error', () => this.#handleTcpFailure())
    tcp.on('close', () => {
      // If both directions have ended, this is a normal close. Only our end record may still be in transit.
      if (!this.#hasSentEnd || !this.#hasReceivedEnd) this.#handleTcpFailure()
      allowance.close()
    })
    this.#pump()
  }

  get pipe(): Pipe {
    return this.#pipe
  }

  /** The peer has ended the stream. */
  handlePeerEnd(reason: EndReason): void {
    // The peer's frame also shows that our own end arrived, even when we do not know it yet.
    if (this.#hasSentEnd && this.#hasReceivedEnd) this.#finish(reason)
    else this.break(reason)
  }

  /** Ends the stream at once and resets the TCP connection. */
  break(reason: EndReason): void {
    if (this.#over) return
    this.#tcp.resetAndDestroy()
    this.#finish(reason)
  }

  /** From the local program to the peer. */
  #pump(): void {
    if (this.#over || this.#hasTcpFailed) return
    while (!this.#over && !this.#pipeIsFull && this.#credit > 0 && this.#tcp.readableLength > 0) {
      const length = Math.min(this.#credit, this.#tcp.readableLength, maxDataBytes)
      const bytes: Uint8Array | null = this.#tcp.read(length)
      if (bytes === null) return
      this.#credit -= bytes.length
      this.#pipe.write(dataHeader(bytes.length))
      this.#pipeIsFull = !this.#pipe.write(bytes)
    }
    // read(0) makes the socket read on and emit its end. It is also needed when the end came before we had read the last
    // bytes: reading exactly the buffered bytes does not emit it.
    if (!this.#over && this.#tcp.readableLength === 0) this.#tcp.read(0)
  }

  #sendEnd(): void {
    if (this.#over || this.#hasTcpFailed || this.#hasSentEnd) return
    this.#hasSentEnd = true
    this.#pipe.write(endRecord())
    this.#pipe.flush().then(
      (arrived) => {
        this.#hasEndArrived = arrived
        this.#finishIfDone()
      },
      () => {},
    )
  }

  #receive(chunk: Uint8Array): void {
    const records = this.#records.read(chunk)
    if (records === null) this.break('reset')
    for (const record of records ?? []) {
      if (this.#over || this.#hasTcpFailed) return
      if (record.kind === 'data') this.#writeToLocal(record.bytes)
      else if (record.kind === 'credit') this.#handleCredit(record.bytes)
      else if (record.kind === 'end') this.#handleEnd()
      else this.#tcp.write(nothing, () => this.break('reset'))
    }
  }

  /** From the peer to the local program. */
  #writeToLocal(bytes: Uint8Array): void {
    this.#unreadBytes += bytes.length
    if (this.#hasReceivedEnd || this.#unreadBytes > this.#allowance.windowBytes) {
      this.break('reset')
      return
    }
    this.#corkForTurn()
    this.#tcp.write(bytes, (error) => {
      if (!error) this.#handleRead(bytes.length)
    })
  }

  /** Combines all data of one event-loop turn into one write, because a write for each packet costs as much as all other
   *  work for it. */
  #corkForTurn(): void {
    if (this.#isCorked) return
    this.#isCorked = true
    this.#tcp.cork()
    setImmediate(() => {
      this.#isCorked = false
      this.#tcp.uncork()
    })
  }

  #handleRead(length: number): void {
    this.#unreadBytes -= length
    this.#readSinceCredit += length
    this.#readSinceGrowth += length
    const { windowBytes } = this.#allowance
    if (this.#over || this.#hasReceivedEnd || this.#readSinceCredit < windowBytes / 8) return
    let credit = this.#readSinceCredit
    if (this.#readSinceGrowth >= windowBytes) {
      this.#readSinceGrowth = 0
      credit += this.#allowance.grow()
    }
    this.#readSinceCredit = 0
    this.#pipe.write(creditRecord(credit))
  }

  #handleCredit(bytes: number): void {
    this.#credit += bytes
    if (this.#credit > maxCreditBytes) this.break('reset')
    else this.#pump()
  }

  #handleEnd(): void {
    if (this.#hasReceivedEnd) {
      this.break('reset')
      return
    }
    this.#hasReceivedEnd = true
    this.#tcp.end()
    this.#finishIfDone()
  }

  /** The data that the local program sent before must still arrive, so the reset is a record within the stream. */
  #handleTcpFailure(): void {
    if (this.#over || this.#hasTcpFailed) return
    this.#hasTcpFailed = true
    this.#tcp.resetAndDestroy()
    this.#pipe.write(resetRecord())
    const finish = () => this.#finish('reset')
    this.#pipe.flush().then(finish, finish)
  }

  #finishIfDone(): void {
    if (this.#hasReceivedEnd && this.#hasEndArrived) this.#finish('done')
  }

  /** The TCP connection ends later by itself. Until then the data it holds count against the budget. */
  #finish(reason: EndReason): void {
    if (this.#over) return
    this.#over = true
    this.#pipe.destroy()
    this.#onOver(reason)
  }
}
