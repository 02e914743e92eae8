// Cuts a stream of bytes into the messages that were written to it. Holds less than one message.

import { concatBytes } from './bytes.ts'

export class MessageSplitter {
  readonly #headBytes: number
  readonly #lengthOf: (head: Uint8Array) => number | null
  readonly #mayBegin: (start: Uint8Array) => boolean
  #held: Uint8Array = new Uint8Array(0)
  #isBroken = false

  /** `lengthOf`: of the whole message, by its first `headBytes`, and no less than those; null when it can be none. `mayBegin`:
   *  whether a message may begin with these bytes, fewer than `headBytes`; so that nobody waits for the rest of what is none. */
  constructor(
    headBytes: number,
    lengthOf: (head: Uint8Array) => number | null,
    mayBegin: (start: Uint8Array) => boolean = () => true,
  ) {
    this.#headBytes = headBytes
    this.#lengthOf = lengthOf
    this.#mayBegin = mayBegin
  }

  /** The messages that are whole now, head and all. Null once something came that can be no message: the end. */
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
