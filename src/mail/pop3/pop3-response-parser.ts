// Answers of a POP3 server out of the bytes of its connection (RFC 1939 §3): where each ends, dot-stuffing undone, and
// never more kept than was asked for, whatever the server sends. Knows nothing of sockets.

export type Pop3Answer = {
  readonly ok: boolean
  /** After +OK or -ERR. */
  readonly text: string
  /** Of an answer of several lines; empty otherwise. */
  readonly body: Uint8Array
  /** There was more of it than was to be kept. */
  readonly truncated: boolean
}

/** What an answer looks like when it is +OK. `lines`: ended by a line with a single dot. */
export type Pop3Form = { readonly form: 'line' } | { readonly form: 'lines'; readonly mostBytes: number }

/** RFC 2449 §4 allows 512; some put a story there. */
const longestLineBytes = 4_096

const empty = new Uint8Array(0)
const lineEnd = Buffer.from('\r\n')
const bodyEnd = Buffer.from('\r\n.\r\n')

export class Pop3ResponseParser {
  /** Not used up yet. At most one answer's limit and one chunk of the socket. */
  #bytes: Buffer = Buffer.alloc(0)
  /** The first line of an answer whose body is still coming. */
  #status: string | null = null
  /** What of that body came before `#bytes`, cut at its limit. */
  #kept: Buffer[] = []
  #keptBytes = 0
  #truncated = false

  push(chunk: Uint8Array): void {
    this.#bytes = this.#bytes.length === 0 ? Buffer.from(chunk) : Buffer.concat([this.#bytes, chunk])
  }

  /** Bytes that nobody has asked for. */
  get isIdle(): boolean {
    return this.#bytes.length === 0 && this.#status === null
  }

  /** The next answer, or null while it is not whole. Throws when it is no answer of a POP3 server. */
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
      // The line's end stays: a body without a line ends by it and the dot.
      this.#bytes = this.#bytes.subarray(end)
    }
    return form.form === 'lines' ? this.#takeBody(this.#status, form.mostBytes) : null
  }

  #takeBody(text: string, mostBytes: number): Pop3Answer | null {
    const end = this.#bytes.indexOf(bodyEnd)
    // What may be the beginning of the end stays for the next look.
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
    // Two bytes more, for the line's end before the body.
    const room = mostBytes + lineEnd.length - this.#keptBytes
    if (part.length > room) this.#truncated = true
    const kept = part.subarray(0, Math.max(0, room))
    if (kept.length === 0) return
    // A copy, so that a long body beyond its limit does not keep its chunks.
    this.#kept.push(Buffer.from(kept))
    this.#keptBytes += kept.length
  }
}

/** The body after its first line's end, each `CR LF . .` as `CR LF .` (RFC 1939 §3). */
function withoutStuffing(bytes: Buffer): Uint8Array {
  const plain = Buffer.alloc(bytes.length)
  let filled = 0
  for (let i = 0; i < bytes.length; i++) {
    const stuffed = bytes[i] === 0x2e && bytes[i - 1] === 0x0a && bytes[i - 2] === 0x0d
    if (!stuffed) plain[filled++] = bytes[i] as number
  }
  return plain.subarray(lineEnd.length, filled)
}
