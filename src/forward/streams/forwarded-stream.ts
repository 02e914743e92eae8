// One forwarded TCP connection: its local end and the pipe to the peer's, with back-pressure and half-close from end
// to end (A7, A10).
//
//      TCP socket ──read──> records ──> pipe        no more than the peer gave credit for
//      TCP socket <─write── records <── pipe        credit goes back as the local program takes the data
//
// The stream is over when both sides have sent their end and know that it arrived, or when either side broke.

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

/** A peer that gives more credit than this does not count as we do. */
const maxCreditBytes = 2 * maxWindowBytes
/** Beside the window: headers of records, and credit, which is sent without credit. */
const slackBytes = 65_536
const nothing = new Uint8Array(0)

type StreamOptions = {
  /** Half-open connections allowed; nothing read from it yet. */
  readonly tcp: LocalEnd
  readonly allowance: Allowance
  readonly createPipe: (
    handlers: Pick<PipeOptions, 'maxBytesAhead' | 'onData' | 'onDrain' | 'onLost'>,
  ) => Pipe
  /** Once, always the last. */
  readonly onOver: (reason: EndReason) => void
}

export class ForwardedStream {
  readonly #tcp: LocalEnd
  readonly #pipe: Pipe
  readonly #allowance: Allowance
  readonly #onOver: StreamOptions['onOver']
  readonly #records = new RecordReader()
  /** Bytes of data that we may still send. */
  #credit = initialCreditBytes
  /** Data given to the local program and not yet taken. */
  #held = 0
  /** Taken since credit was last given, and since the window last grew. */
  #takenSinceCredit = 0
  #takenSinceGrowth = 0
  #pipeIsFull = false
  #isGathering = false
  #sentEnd = false
  #endArrived = false
  /** The peer is yet to learn of it. */
  #tcpIsBroken = false
  #gotEnd = false
  #over = false

  constructor({ tcp, allowance, createPipe, onOver }: StreamOptions) {
    this.#tcp = tcp
    this.#allowance = allowance
    this.#onOver = onOver
    tcp.setNoDelay(true)
    this.#pipe = createPipe({
      maxBytesAhead: () => allowance.windowBytes + slackBytes,
      onData: (bytes) => this.#receive(bytes),
      onDrain: () => {
        this.#pipeIsFull = false
        this.#pump()
      },
      onLost: () => this.break('reset'),
    })
    tcp.on('readable', () => this.#pump())
    tcp.on('end', () => this.#end())
    tcp.on('error', () => this.#tcpBroke())
    tcp.on('close', () => {
      // Both ways at their end; only our word of it may still be under way.
      if (!this.#sentEnd || !this.#gotEnd) this.#tcpBroke()
      allowance.close()
    })
    this.#pump()
  }

  get pipe(): Pipe {
    return this.#pipe
  }

  /** The peer says it is over. */
  endedByPeer(reason: EndReason): void {
    // It may say so before we know that our own end arrived: it is how we learn it.
    if (this.#sentEnd && this.#gotEnd) this.#finish(reason)
    else this.break(reason)
  }

  /** Ends at once, and resets the TCP connection. */
  break(reason: EndReason): void {
    if (this.#over) return
    this.#tcp.resetAndDestroy()
    this.#finish(reason)
  }

  /** From the local program to the peer. */
  #pump(): void {
    if (this.#over || this.#tcpIsBroken) return
    while (!this.#over && !this.#pipeIsFull && this.#credit > 0 && this.#tcp.readableLength > 0) {
      const wanted = Math.min(this.#credit, this.#tcp.readableLength, maxDataBytes)
      const bytes: Uint8Array | null = this.#tcp.read(wanted)
      if (bytes === null) return
      this.#credit -= bytes.length
      this.#pipe.write(dataHeader(bytes.length))
      this.#pipeIsFull = !this.#pipe.write(bytes)
    }
    // Asking for nothing lets the socket read on, and tell of its end: also of one that came before the last bytes were
    // taken, for taking exactly what there is does not.
    if (!this.#over && this.#tcp.readableLength === 0) this.#tcp.read(0)
  }

  #end(): void {
    if (this.#over || this.#tcpIsBroken || this.#sentEnd) return
    this.#sentEnd = true
    this.#pipe.write(endRecord())
    this.#pipe.flush().then(
      (arrived) => {
        this.#endArrived = arrived
        this.#finishIfDone()
      },
      () => {},
    )
  }

  #receive(piece: Uint8Array): void {
    const records = this.#records.read(piece)
    if (records === null) this.break('reset')
    for (const record of records ?? []) {
      if (this.#over || this.#tcpIsBroken) return
      if (record.kind === 'data') this.#give(record.bytes)
      else if (record.kind === 'credit') this.#takeCredit(record.bytes)
      else if (record.kind === 'end') this.#takeEnd()
      else this.#tcp.write(nothing, () => this.break('reset'))
    }
  }

  /** From the peer to the local program. */
  #give(bytes: Uint8Array): void {
    this.#held += bytes.length
    if (this.#gotEnd || this.#held > this.#allowance.windowBytes) {
      this.break('reset')
      return
    }
    this.#gather()
    this.#tcp.write(bytes, (error) => {
      if (!error) this.#taken(bytes.length)
    })
  }

  /** What comes in one turn of the loop goes to the local program at once: a write of its own for each packet costs as
   *  much as all else that is done with it. */
  #gather(): void {
    if (this.#isGathering) return
    this.#isGathering = true
    this.#tcp.cork()
    setImmediate(() => {
      this.#isGathering = false
      this.#tcp.uncork()
    })
  }

  #taken(length: number): void {
    this.#held -= length
    this.#takenSinceCredit += length
    this.#takenSinceGrowth += length
    const { windowBytes } = this.#allowance
    if (this.#over || this.#gotEnd || this.#takenSinceCredit < windowBytes / 8) return
    let credit = this.#takenSinceCredit
    if (this.#takenSinceGrowth >= windowBytes) {
      this.#takenSinceGrowth = 0
      credit += this.#allowance.grow()
    }
    this.#takenSinceCredit = 0
    this.#pipe.write(creditRecord(credit))
  }

  #takeCredit(bytes: number): void {
    this.#credit += bytes
    if (this.#credit > maxCreditBytes) this.break('reset')
    else this.#pump()
  }

  #takeEnd(): void {
    if (this.#gotEnd) {
      this.break('reset')
      return
    }
    this.#gotEnd = true
    this.#tcp.end()
    this.#finishIfDone()
  }

  /** What the local program sent before is still to arrive: the reset has its place in the stream. */
  #tcpBroke(): void {
    if (this.#over || this.#tcpIsBroken) return
    this.#tcpIsBroken = true
    this.#tcp.resetAndDestroy()
    this.#pipe.write(resetRecord())
    const finish = () => this.#finish('reset')
    this.#pipe.flush().then(finish, finish)
  }

  #finishIfDone(): void {
    if (this.#gotEnd && this.#endArrived) this.#finish('done')
  }

  /** The TCP connection ends by itself from here on; until then what it holds is counted. */
  #finish(reason: EndReason): void {
    if (this.#over) return
    this.#over = true
    this.#pipe.destroy()
    this.#onOver(reason)
  }
}
