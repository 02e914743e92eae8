// Header fields of a mail, read fast and safely: enough to tell whether a mail is ours before anything
// larger looks at it. Parsers disagree about odd headers, so oddness is kept visible here.

/** Headers beyond this are not read: no letter needs them, and every relay adds its own few. */
export const headerLimitBytes = 65_536

export type HeaderField = {
  /** Lower case. */
  readonly name: string
  /** Unfolded, trimmed, not decoded. */
  readonly value: string
}

/** Where the header ends: the index after its last line, or null where no empty line is in sight. */
export function headerEnd(raw: Uint8Array): number | null {
  const end = Math.min(raw.length, headerLimitBytes)
  let lineStart = 0
  for (let i = 0; i < end; i++) {
    if (raw[i] !== 0x0a) continue
    const length = i - lineStart - (i > lineStart && raw[i - 1] === 0x0d ? 1 : 0)
    if (length === 0) return lineStart
    lineStart = i + 1
  }
  return raw.length <= headerLimitBytes ? raw.length : null
}

/** The fields in their order. Lines that are none are passed over. Reads at most `headerLimitBytes`. */
export function quickHeaders(raw: Uint8Array): HeaderField[] {
  const text = new TextDecoder('utf-8').decode(raw.subarray(0, headerEnd(raw) ?? headerLimitBytes))
  const fields: HeaderField[] = []
  let name: string | null = null
  let lines: string[] = []
  const finish = () => {
    if (name !== null) fields.push({ name, value: lines.join(' ').trim() })
  }
  for (const line of text.split(/\r?\n/)) {
    if (line.startsWith(' ') || line.startsWith('\t')) {
      lines.push(line.trim())
      continue
    }
    finish()
    const colon = line.indexOf(':')
    // RFC 5322 §4.5 allows white space before the colon; some programs still take such a line for the field.
    const before = colon < 1 ? '' : line.slice(0, colon).trimEnd()
    name = /^[!-9;-~]+$/.test(before) ? before.toLowerCase() : null
    lines = name === null ? [] : [line.slice(colon + 1).trim()]
  }
  finish()
  return fields
}

export function fieldValues(fields: readonly HeaderField[], name: string): string[] {
  return fields.filter((field) => field.name === name).map(({ value }) => value)
}

/** Encoded words (RFC 2047) in clear. What cannot be decoded stays as it is. */
export function decodeWords(value: string): string {
  // White space between two encoded words is not part of the text (§6.2).
  const joined = value.replace(/(\?=)\s+(?==\?)/g, '$1')
  return joined.replace(
    /=\?([\w-]{1,40})(?:\*[\w-]{1,40})?\?([BQ])\?([^?\s]*)\?=/gi,
    (whole: string, charset: string, encoding: string, data: string) => {
      try {
        const bytes = encoding.toUpperCase() === 'B' ? Buffer.from(data, 'base64') : decodeQ(data)
        return new TextDecoder(charset, { fatal: true }).decode(bytes)
      } catch {
        return whole
      }
    },
  )
}

function decodeQ(data: string): Uint8Array {
  const plain = data
    .replace(/_/g, ' ')
    .replace(/=([0-9A-F]{2})/gi, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)))
  return Buffer.from(plain, 'latin1')
}
