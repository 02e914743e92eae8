// Cuts a stream of bytes into the messages that were written to it. Holds less than one message.

import { concatBytes } from './bytes.ts'

export class MessageSplitter {
  readonly #headBytes: number
  readonly #lengthOf: (head: Uint8Array) => number | null
  #held: Uint8Array = new Uint8Array(0)
  #isBroken = false

  /** `lengthOf`: of the whole message, by its first `headBytes`, and no less than those; null when it can be none. */
  constructor(headBytes: number, lengthOf: (head: Uint8Array) => number | null) {
    this.#headBytes = headBytes
    this.#lengthOf = lengthOf
  }

  /** The messages that are whole now, head and all. Null once something came that can be no message: the end. */
  push(bytes: Uint8Array): readonly Uint8Array[] | null {
    if (this.#isBroken) return null
    let rest = this.#held.length === 0 ? bytes : concatBytes(this.#held, bytes)
    const messages: Uint8Array[] = []
    while (rest.length >= this.#headBytes) {
      const length = this.#lengthOf(rest.subarray(0, this.#headBytes))
      if (length === null) {
        this.#isBroken = true
        this.#held = new Uint8Array(0)
        return null
      }
      if (rest.length < length) break
      messages.push(rest.slice(0, length))
      rest = rest.subarray(length)
    }
    this.#held = rest.slice()
    return messages
  }
}
