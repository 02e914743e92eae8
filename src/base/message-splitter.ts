// Splits a byte stream into messages. It buffers less than one message.

import { concatBytes } from './bytes.ts'

export class MessageSplitter {
  readonly #headBytes: number
  readonly #lengthOf: (head: Uint8Array) => number | null
  readonly #mayBegin: (start: Uint8Array) => boolean
  #held: Uint8Array = new Uint8Array(0)
  #isBroken = false

  /**
   * `lengthOf` reads the first `headBytes` and returns the length of the whole message, including these bytes. It
   * returns null when they do not begin a message. `mayBegin` looks at fewer bytes than that. When it returns false, the
   * stream is given up at once instead of waiting for more.
   */
  constructor(
    headBytes: number,
    lengthOf: (head: Uint8Array) => number | null,
    mayBegin: (start: Uint8Array) => boolean = () => true,
  ) {
    this.#headBytes = headBytes
    this.#lengthOf = lengthOf
    this.#mayBegin = mayBegin
  }

  /** Returns the messages that are complete now. Null when the stream is not valid, and for ever after that. */
  push(bytes: Uint8Array): readonly Uint8Array[] | null {
    if (this.#isBroken) return null
    let rest = this.#held.length === 0 ? bytes : concatBytes(this.#held, bytes)
    const messages: Uint8Array[] = []
    while (rest.length >= this.#headBytes) {
      const length = this.#lengthOf(rest.subarray(0, this.#headBytes))
      if (length === null) return this.#break()
      if (rest.length < length) break
      messages.push(rest.slice(0, length))
      rest = rest.subarray(length)
    }
    if (rest.length > 0 && rest.length < this.#headBytes && !this.#mayBegin(rest)) return this.#break()
    this.#held = rest.slice()
    return messages
  }

  #break(): null {
    this.#isBroken = true
    this.#held = new Uint8Array(0)
    return null
  }
}
