// Parses the answers of a POP3 server from the bytes of its connection (RFC 1939 §3). Finds the end of each answer,
// undoes dot-stuffing, and never keeps more than the caller's limit.

export type Pop3Answer = {
  readonly ok: boolean
  /** The text after +OK or -ERR. */
  readonly text: string
  /** The body of an answer with several lines, or else empty. */
  readonly body: Uint8Array
  /** Whether the body was longer than the limit. */
  readonly truncated: boolean
}

/** The form of an answer that is +OK. `lines`: several lines, which end with a line that is a single dot. */
export type Pop3Form = { readonly form: 'line' } | { readonly form: 'lines'; readonly mostBytes: number }

/** RFC 2449 §4 allows 512, but some servers send more. */
const longestLineBytes = 4_096

const empty = new Uint8Array(0)
const lineEnd = Buffer.from('\r\n')
const bodyEnd = Buffer.from('\r\n.\r\n')

export class Pop3ResponseParser {
  /** Bytes that are not parsed yet. At most one line or end marker and one chunk of the socket. */
  #bytes: Buffer = Buffer.alloc(0)
  /** The first line of an answer whose body is not complete yet. */
  #status: string | null = null
  /** The part of that body before `#bytes`, truncated to its limit. */
  #kept: Buffer[] = []
  #keptBytes = 0
  #truncated = false

  push(chunk: Uint8Array): void {
    this.#bytes = this.#bytes.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#bytes, chunk])
  }

  /** Whether there are no bytes left over. */
  get isIdle(): boolean {
    return this.#bytes.length === 0 && this.#status === null
  }

  /** The next answer, or null while it is not complete. Throws if it is not an answer of a POP3 server. */
  take(form: Pop3Form): Pop3Answer | null {
    if (this.#status === null) {
      const end = this.#bytes.indexOf(lineEnd)
      if (end > longestLineBytes || (end < 0 && this.#bytes.length > longestLineBytes)) {
        throw new Error('its answer is too long')
      }
      if (end < 0) return null
      const line = this.#bytes.subarray(0, end).toString('utf8')
      const match = /^(\+OK|-ERR|\+)(?:\s(.*))?$/s.exec(line)
      if (!match) throw new Error('it does not speak POP3')
      const ok = match[1] !== '-ERR'
      const text = match[2] ?? ''
      if (form.form === 'line' || !ok) {
        this.#bytes = this.#bytes.subarray(end + 2)
        return { ok, text, body: empty, truncated: false }
      }
      this.#status = text
      // The line end stays, because an empty body ends with this line end and the dot.
      this.#bytes = this.#bytes.subarray(end)
    }
    return form.form === 'lines' ? this.#takeBody(this.#status, form.mostBytes) : null
  }

  #takeBody(text: string, mostBytes: number): Pop3Answer | null {
    const end = this.#bytes.indexOf(bodyEnd)
    // The last bytes may be the start of the end marker, so they stay.
    const until = end >= 0 ? end + 2 : Math.max(0, this.#bytes.length - bodyEnd.length + 1)
    this.#keep(this.#bytes.subarray(0, until), mostBytes)
    this.#bytes = this.#bytes.subarray(end >= 0 ? end + bodyEnd.length : until)
    if (end < 0) return null
    const answer = {
      ok: true,
      text,
      body: withoutStuffing(Buffer.concat(this.#kept)),
      truncated: this.#truncated,
    }
    this.#status = null
    this.#kept = []
    this.#keptBytes = 0
    this.#truncated = false
    return answer
  }

  #keep(part: Buffer, mostBytes: number): void {
    // Two more bytes for the line end before the body.
    const bytesLeft = mostBytes + lineEnd.length - this.#keptBytes
    if (part.length > bytesLeft) this.#truncated = true
    const kept = part.subarray(0, Math.max(0, bytesLeft))
    if (kept.length === 0) return
    // A copy, so that the whole chunk is not kept in memory.
    this.#kept.push(Buffer.from(kept))
    this.#keptBytes += kept.length
  }
}

/** Removes the first line end, and replaces each `CR LF . .` by `CR LF .` (RFC 1939 §3). */
function withoutStuffing(bytes: Buffer): Uint8Array {
  const plain = Buffer.alloc(bytes.length)
  let length = 0
  for (let i = 0; i < bytes.length; i++) {
    const stuffed = bytes[i] === 0x2e && bytes[i - 1] === 0x0a && bytes[i - 2] === 0x0d
    if (!stuffed) plain[length++] = bytes[i] as number
  }
  return plain.subarray(lineEnd.length, length)
}
