// The local end of a stream: a game's TCP socket or, where the game is this very program, one end of a pair in memory.

import { Duplex } from 'node:stream'

export interface LocalEnd extends Duplex {
  setNoDelay(on: boolean): unknown
  /** Ends it without delivering the rest; the program at the other end learns that it broke. */
  resetAndDestroy(): unknown
}

/** What waits at an end to be read, before whoever writes to it has to wait. */
const heldBytes = 65_536

/** Two ends: what is written to one is read from the other. Neither ever emits `error` for what the other does: a program
 *  that forgot to listen for it would end whenever somebody else's connection does. */
export function joinedEnds(): readonly [LocalEnd, LocalEnd] {
  const [one, other] = [new End(), new End()]
  one.join(other)
  other.join(one)
  return [one, other]
}

class End extends Duplex implements LocalEnd {
  #other: End | null = null
  /** Tells the other end that we take more. */
  #more: (() => void) | null = null

  constructor() {
    // With `autoDestroy`, a `for await` that has read to the end would destroy what is still to be sent.
    super({ allowHalfOpen: true, highWaterMark: heldBytes, autoDestroy: false })
    this.on('end', () => this.#closeIfWhole())
    this.on('finish', () => this.#closeIfWhole())
  }

  join(other: End): void {
    this.#other = other
  }

  setNoDelay(): void {}

  resetAndDestroy(): void {
    this.destroy()
  }

  override _read(): void {
    const more = this.#more
    this.#more = null
    more?.()
  }

  override _write(bytes: Buffer, _encoding: BufferEncoding, callback: () => void): void {
    const other = this.#other
    if (!other || bytes.length === 0) {
      callback()
      return
    }
    other.#more = callback
    // A copy: whoever wrote them may use these bytes again, and the other end holds them longer.
    other.push(Buffer.from(bytes))
  }

  override _final(callback: () => void): void {
    this.#other?.push(null)
    callback()
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    const other = this.#other
    this.#other = null
    if (other && !this.#isWhole) other.destroy()
    callback(error)
  }

  get #isWhole(): boolean {
    return this.readableEnded && this.writableFinished
  }

  #closeIfWhole(): void {
    if (this.#isWhole) this.destroy()
  }
}
