// Tells the hosts that this one knows which invites are over, and takes their word for those that they made (A13).
// Each is told on once by whoever hears of it, and again every day, for a mail can be lost.

import { equalBytes } from '../../base/bytes.ts'
import { chunksOf } from '../../base/list-chunks.ts'
import { checkRevocation } from '../../letter/invite-revocation.ts'
import type { Revocation } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import { type HostGround, tryTransaction } from '../context.ts'

const againMs = 24 * 3_600_000
/** To a host whose table is empty. */
const mostAtOnce = 20 * limits.tableRevocations

export class RevocationSync {
  readonly #parts: HostGround
  readonly #send: (revoked: readonly Revocation[]) => void
  #cancel: () => void = () => {}

  /** `send`: to all hosts that we know, `limits.tableRevocations` at most, inside a transaction. */
  constructor(parts: HostGround, send: (revoked: readonly Revocation[]) => void) {
    this.#parts = parts
    this.#send = send
  }

  /** Looks every now and then: commands revoke while the host runs. */
  start(): void {
    const { clock, settings } = this.#parts
    this.#cancel = clock.after(settings.housekeepingMs, () => {
      tryTransaction(this.#parts, () => this.#tellDue())
      this.start()
    })
  }

  stop(): void {
    this.#cancel()
  }

  /** Inside the letter's transaction. Of hosts whose invites do not let in here nothing is kept. */
  take(revoked: readonly Revocation[]): void {
    const { self, crypto, revocations } = this.#parts
    for (const revocation of revoked) {
      const isHosts = self.hosts.some((host) => equalBytes(host, revocation.host))
      if (isHosts && checkRevocation(crypto, revocation)) revocations.take(revocation)
    }
  }

  /** In pieces for one letter each. */
  get all(): readonly (readonly Revocation[])[] {
    return chunksOf(this.#parts.revocations.latest(mostAtOnce), limits.tableRevocations)
  }

  #tellDue(): void {
    const { revocations, clock } = this.#parts
    const now = clock.wallNow()
    const due = revocations.due(now - againMs, limits.tableRevocations)
    if (due.length === 0) return
    this.#send(due)
    revocations.noteTold(due, now)
  }
}
