// Tells the hosts that this one knows which invites are over, and takes their word for those that they made (A13).
// Each is told on once by whoever hears of it, and again every day, for a mail can be lost.

import { equalBytes } from '../../base/bytes.ts'
import { chunksOf } from '../../base/list-chunks.ts'
import type { InviteHost } from '../../letter/invite.ts'
import { checkRevocation } from '../../letter/invite-revocation.ts'
import type { Revocation } from '../../letter/letter-types.ts'
import { limits } from '../../letter/limits.ts'
import type { HostDatabase } from '../../store/host-database.ts'
import type { InviteRevocations } from '../../store/invite-revocations.ts'
import type { HostId } from '../../sync/table-sync.ts'
import type { HostContext } from '../context.ts'
import { tryDatabase } from '../host-problems.ts'
import type { HostMails } from './host-mails.ts'

const againMs = 24 * 3_600_000
/** To a host whose table is empty. */
const mostAtOnce = 20 * limits.tableRevocations

type RevocationSyncOptions = {
  readonly hosts: ReadonlyMap<HostId, InviteHost>
  readonly database: HostDatabase
  readonly revocations: InviteRevocations
  readonly hostMails: HostMails
}

export class RevocationSync {
  readonly #context: HostContext
  readonly #options: RevocationSyncOptions
  #cancel: () => void = () => {}

  constructor(context: HostContext, options: RevocationSyncOptions) {
    this.#context = context
    this.#options = options
  }

  /** Looks every now and then: commands revoke while the host runs. */
  start(): void {
    const { clock, settings } = this.#context
    const { database } = this.#options
    this.#cancel = clock.after(settings.housekeepingMs, () => {
      tryDatabase(this.#context, database, () => database.transaction(() => this.#tellDue()))
      this.start()
    })
  }

  stop(): void {
    this.#cancel()
  }

  /** Inside the letter's transaction. Of hosts whose invites do not let in here nothing is kept. */
  take(revoked: readonly Revocation[]): void {
    const { self, crypto } = this.#context
    for (const revocation of revoked) {
      const isHosts = self.hosts.some((host) => equalBytes(host, revocation.host))
      if (isHosts && checkRevocation(crypto, revocation)) this.#options.revocations.add(revocation)
    }
  }

  /** In pieces for one letter each. */
  get all(): readonly (readonly Revocation[])[] {
    return chunksOf(this.#options.revocations.latest(mostAtOnce), limits.tableRevocations)
  }

  #tellDue(): void {
    const { hosts, hostMails, revocations } = this.#options
    const now = this.#context.clock.wallNow()
    const revoked = revocations.due(now - againMs, limits.tableRevocations)
    if (revoked.length === 0) return
    for (const host of hosts.values()) hostMails.enqueueTable(host, [], { revoked })
    revocations.markSent(revoked, now)
  }
}
