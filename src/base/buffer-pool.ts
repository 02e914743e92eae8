// Cheap memory for short-lived buffers such as packets. A chunk of a larger block costs a tenth of a new array.
// A chunk is never handed out twice. It keeps its whole block in memory as long as it is referenced.

/** Holds six of the largest packets. */
const blockBytes = 8192

export class BufferPool {
  #block = new Uint8Array(0)
  #used = 0

  /** The returned bytes are all zero. */
  take(length: number): Uint8Array {
    if (length > blockBytes / 2) return new Uint8Array(length)
    if (this.#used + length > this.#block.length) {
      this.#block = new Uint8Array(blockBytes)
      this.#used = 0
    }
    const chunk = this.#block.subarray(this.#used, this.#used + length)
    this.#used += length
    return chunk
  }
}
