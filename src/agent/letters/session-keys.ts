// Our own sessions. Each request has a fresh key, and replies to earlier requests may still be in transit.

import { toHex } from '../../base/bytes.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'
import type { Session, SessionId } from '../../letter/letter-types.ts'

/** The newest session and older ones whose replies may still come. Older keys are wiped, for forward secrecy. */
export const maxSessions = 3

export type OwnSession = Session & {
  readonly keyPair: KeyPair
  /** Monotonic. */
  readonly requestedAt: number
}

export class SessionKeys {
  readonly #crypto: Crypto
  /** Newest last. */
  #sessions: OwnSession[] = []

  constructor(crypto: Crypto) {
    this.#crypto = crypto
  }

  /** `now` (monotonic) serves to measure how long the reply takes. */
  create(now = 0): OwnSession {
    const keyPair = this.#crypto.boxKeyPair()
    const id = this.#crypto.randomBytes(16)
    const session = { id, publicKey: keyPair.publicKey, keyPair, requestedAt: now }
    this.#sessions.push(session)
    for (const old of this.#sessions.splice(0, this.#sessions.length - maxSessions)) {
      this.#crypto.wipe(old.keyPair.secretKey)
    }
    return session
  }

  find(id: SessionId): OwnSession | null {
    const wanted = toHex(id)
    return this.#sessions.find((session) => toHex(session.id) === wanted) ?? null
  }

  /** Whether the session still has its key. A wiped key is all zeros, so keys derived from it are no secret. */
  has(session: OwnSession): boolean {
    return this.#sessions.includes(session)
  }

  get newest(): OwnSession | null {
    return this.#sessions.at(-1) ?? null
  }

  /** Newest first. */
  get keyPairs(): readonly KeyPair[] {
    return this.#sessions.map((session) => session.keyPair).reverse()
  }

  wipe(): void {
    for (const { keyPair } of this.#sessions) this.#crypto.wipe(keyPair.secretKey)
    this.#sessions = []
  }
}
