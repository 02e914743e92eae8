// Our own sessions: each request brings a fresh key, and answers to earlier ones may still be on their way.

import { toHex } from '../../base/bytes.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'
import type { Session, SessionId } from '../../letter/letter-types.ts'

/** The newest and those before it whose answers may still come. Older keys are wiped: forward secrecy. */
export const keptSessions = 3

export type OwnSession = Session & {
  readonly keyPair: KeyPair
  /** Monotonic. */
  readonly requestedAt: number
}

export class SessionKeys {
  readonly #crypto: Crypto
  /** Newest last; at most `keptSessions`. */
  #sessions: OwnSession[] = []

  constructor(crypto: Crypto) {
    this.#crypto = crypto
  }

  /** `now` is for measuring later how long an answer took. */
  create(now = 0): OwnSession {
    const keyPair = this.#crypto.boxKeyPair()
    const id = this.#crypto.randomBytes(16)
    const session = { id, publicKey: keyPair.publicKey, keyPair, requestedAt: now }
    this.#sessions.push(session)
    for (const old of this.#sessions.splice(0, this.#sessions.length - keptSessions)) {
      this.#crypto.wipe(old.keyPair.secretKey)
    }
    return session
  }

  find(id: SessionId): OwnSession | null {
    const wanted = toHex(id)
    return this.#sessions.find((session) => toHex(session.id) === wanted) ?? null
  }

  /** Whether its key is still there; keys derived from a wiped one would be known to everybody. */
  has(session: OwnSession): boolean {
    return this.#sessions.includes(session)
  }

  get newest(): OwnSession | null {
    return this.#sessions.at(-1) ?? null
  }

  /** For opening letters: newest first. */
  get keyPairs(): readonly KeyPair[] {
    return this.#sessions.map((session) => session.keyPair).reverse()
  }

  wipe(): void {
    for (const { keyPair } of this.#sessions) this.#crypto.wipe(keyPair.secretKey)
    this.#sessions = []
  }
}
