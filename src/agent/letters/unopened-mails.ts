// A letter that we cannot open may be for another agent that reads the same mailbox. We keep it for a while, so that
// the other agent can read it, and only then remove it.

/** Counted from when we first saw the mail. */
const keepMs = 3_600_000
/** By its Date header. No agent waits for a letter this old. */
const staleMs = 12 * 3_600_000
/** Mails remembered, so that each is read once. When full, the oldest is forgotten and read again. */
const maxRemembered = 1024

export class UnopenedMails {
  /** When each mail was first seen (monotonic), by ref. Oldest first. */
  readonly #firstSeen = new Map<string, number>()

  /** Refs of the mails that need no fetch. */
  refsToSkip(now: number): ReadonlySet<string> {
    const refs = new Set<string>()
    for (const [ref, seenAt] of this.#firstSeen) if (now - seenAt < keepMs) refs.add(ref)
    return refs
  }

  /** True: keep the mail. False: its time is over. `ageMs` comes from the Date header and is 0 without one. */
  shouldKeep(ref: string, now: number, ageMs: number): boolean {
    const seenAt = this.#firstSeen.get(ref) ?? now
    if (now - seenAt >= keepMs || ageMs >= staleMs) {
      this.#firstSeen.delete(ref)
      return false
    }
    const [oldest] = this.#firstSeen.keys()
    if (oldest !== undefined && this.#firstSeen.size >= maxRemembered && !this.#firstSeen.has(ref)) {
      this.#firstSeen.delete(oldest)
    }
    this.#firstSeen.set(ref, seenAt)
    return true
  }
}
