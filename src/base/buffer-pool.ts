// Memory for what is made by the thousand and soon forgotten, such as packets: taking pieces of larger blocks costs a tenth of
// taking each by itself. A piece is never used again, and keeps its whole block while somebody keeps it.

/** Six of the largest packets. */
const blockBytes = 8192

export class BufferPool {
  #block = new Uint8Array(0)
  #used = 0

  /** All zero. */
  take(length: number): Uint8Array {
    if (length > blockBytes / 2) return new Uint8Array(length)
    if (this.#used + length > this.#block.length) {
      this.#block = new Uint8Array(blockBytes)
      this.#used = 0
    }
    const piece = this.#block.subarray(this.#used, this.#used + length)
    this.#used += length
    return piece
  }
}
