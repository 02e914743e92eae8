// Remembers which of the latest counters have been seen, so that a packet counts once. A ring of bit blocks:
// the newest block moves on and nothing is shifted (RFC 6479).

const blockBits = 32

export class ReplayWindow {
  readonly #blocks: Uint32Array
  #next = 0

  /** Remembers at least the `size` counters below the highest. Anything older counts as seen. */
  constructor(size = 2048) {
    this.#blocks = new Uint32Array(Math.ceil(size / blockBits) + 1)
  }

  /** One above the highest counter seen; 0 at first. */
  get next(): number {
    return this.#next
  }

  /** Whether `counter` (a whole number from 0 to below 2^48) is recent enough and has not been marked. */
  isNew(counter: number): boolean {
    if (counter >= this.#next) return true
    if (this.#blockOf(counter) <= this.#blockOf(this.#next - 1) - this.#blocks.length) return false
    return ((this.#blocks[this.#slotOf(counter)] as number) & bitOf(counter)) === 0
  }

  /** Call only for a new counter whose packet was authentic. */
  mark(counter: number): void {
    if (counter >= this.#next) {
      const newest = this.#next === 0 ? -1 : this.#blockOf(this.#next - 1)
      const steps = Math.min(this.#blockOf(counter) - newest, this.#blocks.length)
      for (let i = 0; i < steps; i++) this.#blocks[(this.#blockOf(counter) - i) % this.#blocks.length] = 0
      this.#next = counter + 1
    }
    const slot = this.#slotOf(counter)
    this.#blocks[slot] = (this.#blocks[slot] as number) | bitOf(counter)
  }

  #blockOf(counter: number): number {
    return Math.floor(counter / blockBits)
  }

  #slotOf(counter: number): number {
    return this.#blockOf(counter) % this.#blocks.length
  }
}

function bitOf(counter: number): number {
  return 1 << (counter % blockBits)
}
