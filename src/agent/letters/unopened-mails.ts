// Letters that we cannot open may be for another agent reading the same mailbox: they are left alone for a while,
// so that it can take them, and removed only then.

/** From when we first saw it. */
const leaveAloneMs = 3_600_000
/** By its Date: nobody waits for such a letter any more. */
const staleMs = 12 * 3_600_000
/** Mails remembered, so that they are read once; beyond it the oldest are read again. */
const remembered = 1024

export class UnopenedMails {
  /** By ref, when it was first seen (monotonic); oldest first. */
  readonly #firstSeen = new Map<string, number>()

  /** Refs of mails that need not be fetched. */
  leftAlone(now: number): ReadonlySet<string> {
    const refs = new Set<string>()
    for (const [ref, seenAt] of this.#firstSeen) if (now - seenAt < leaveAloneMs) refs.add(ref)
    return refs
  }

  /** Whether the mail is to be left alone; otherwise its time is over. `ageMs` by its Date, 0 without one. */
  note(ref: string, now: number, ageMs: number): boolean {
    const seenAt = this.#firstSeen.get(ref) ?? now
    if (now - seenAt >= leaveAloneMs || ageMs >= staleMs) {
      this.#firstSeen.delete(ref)
      return false
    }
    const [oldest] = this.#firstSeen.keys()
    if (oldest !== undefined && this.#firstSeen.size >= remembered && !this.#firstSeen.has(ref)) {
      this.#firstSeen.delete(oldest)
    }
    this.#firstSeen.set(ref, seenAt)
    return true
  }
}
