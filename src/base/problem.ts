// The one error class a person ever sees. Each message is a whole sentence: what happened, where,
// and what to do about it. Faults in what strangers send are values, not errors, and live in their rooms.

export type ProblemCode =
  | 'usage'
  | 'config'
  | 'invite'
  | 'file'
  | 'mail-login'
  | 'mail-connection'
  | 'mail-server'
  | 'mail-tls'
  | 'database'
  | 'port-taken'
  | 'network'
  | 'peer'
  | 'unknown-peer'
  | 'ambiguous'
  | 'blocked'
  | 'not-joined'
  | 'leaving'
  | 'declined'
  | 'no-invite'
  | 'unknown-forward'
  | 'not-running'
  | 'not-ready'
  | 'node-version'
  | 'internal'

export class Problem extends Error {
  readonly code: ProblemCode
  /** What the person can do; printed after the message. */
  readonly remedy: string

  constructor(code: ProblemCode, message: string, remedy: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Problem'
    this.code = code
    this.remedy = remedy
  }

  /** What JSON takes of it: an Error's own message is left out by itself. */
  toJSON(): { readonly code: ProblemCode; readonly message: string; readonly remedy: string } {
    return { code: this.code, message: this.message, remedy: this.remedy }
  }

  /** One line for stderr. */
  get line(): string {
    return `${this.message} ${this.remedy}`.replace(/\s+/g, ' ').trim()
  }
}

/** The text of whatever was thrown, on one line. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  return text.replace(/\s+/g, ' ').trim()
}
