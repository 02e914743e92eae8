// The only error class whose text a person sees. A message is a whole sentence that says what happened and where; the
// remedy says what to do. Invalid input from the network is not an error: each room returns it as a value.

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
  /** What the person can do. It is printed after the message. */
  readonly remedy: string

  constructor(code: ProblemCode, message: string, remedy: string, options?: ErrorOptions) {
    super(message, options)
    this.name = 'Problem'
    this.code = code
    this.remedy = remedy
  }

  /** Needed because JSON.stringify leaves out the message of an Error. */
  toJSON(): { readonly code: ProblemCode; readonly message: string; readonly remedy: string } {
    return { code: this.code, message: this.message, remedy: this.remedy }
  }

  /** One line for stderr. */
  get line(): string {
    return `${this.message} ${this.remedy}`.replace(/\s+/g, ' ').trim()
  }
}

/** The message of any thrown value, on one line. */
export function messageOf(thrown: unknown): string {
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  return text.replace(/\s+/g, ' ').trim()
}
