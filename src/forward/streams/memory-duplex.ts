// The local end of a stream: the TCP socket of a game, or one end of a pair in memory for the surrounding program.

import { Duplex } from 'node:stream'

export interface LocalEnd extends Duplex {
  setNoDelay(on: boolean): unknown
  /** Ends it without delivering the rest. The program at the other end sees a reset. */
  resetAndDestroy(): unknown
}

/** The unread bytes at one end before the writer at the other end has to wait. */
const maxUnreadBytes = 65_536

/** Data written to one end is read from the other. Neither emits `error` when the other is destroyed: a program without
 *  an `error` listener would end whenever a peer's connection does. */
export function createDuplexPair(): readonly [LocalEnd, LocalEnd] {
  const [one, other] = [new MemoryDuplex(), new MemoryDuplex()]
  one.connect(other)
  other.connect(one)
  return [one, other]
}

class MemoryDuplex extends Duplex implements LocalEnd {
  #other: MemoryDuplex | null = null
  /** Lets the other end continue its write. */
  #resumeWriter: (() => void) | null = null

  constructor() {
    // With `autoDestroy`, a `for await` loop that has read to the end would destroy data that is not sent yet.
    super({ allowHalfOpen: true, highWaterMark: maxUnreadBytes, autoDestroy: false })
    this.on('end', () => this.#destroyIfEnded())
    this.on('finish', () => this.#destroyIfEnded())
  }

  connect(other: MemoryDuplex): void {
    this.#other = other
  }

  setNoDelay(): void {}

  resetAndDestroy(): void {
    this.destroy()
  }

  override _read(): void {
    const resume = this.#resumeWriter
    this.#resumeWriter = null
    resume?.()
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const other = this.#other
    if (!other || bytes.length === 0) {
      callback()
      return
    }
    other.#resumeWriter = callback
    // A copy, because the writer may reuse the bytes while the other end still holds them.
    other.push(Buffer.from(bytes))
  }

  override _final(callback: () => void): void {
    this.#other?.push(null)
    callback()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const other = this.#other
    this.#other = null
    if (other && !this.#hasEnded) other.destroy()
    callback(error)
  }

  get #hasEnded(): boolean {
    return this.readableEnded && this.writableFinished
  }

  #destroyIfEnded(): void {
    if (this.#hasEnded) this.destroy()
  }
}
