// Exchanges revocations of invites with the hosts that this one knows (A13). A host can only revoke invites that it made. Each
// host sends a new revocation on once, and again every day, because a mail can be lost.

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
import type { OutgoingHostLetters } from './outgoing-host-letters.ts'

const repeatMs = 24 * 3_600_000
/** For a host whose table is empty. */
const maxRevocationsAtOnce = 20 * limits.tableRevocations

type RevocationSyncOptions = {
  readonly hosts: ReadonlyMap<HostId, InviteHost>
  readonly database: HostDatabase
  readonly revocations: InviteRevocations
  readonly outgoingLetters: OutgoingHostLetters
}

export class RevocationSync {
  readonly #context: HostContext
  readonly #options: RevocationSyncOptions
  #cancel: () => void = () => {}

  constructor(context: HostContext, options: RevocationSyncOptions) {
    this.#context = context
    this.#options = options
  }

  /** Checks regularly, because commands revoke invites while the host runs. */
  start(): void {
    const { clock, settings } = this.#context
    const { database } = this.#options
    this.#cancel = clock.after(settings.cleanupMs, () => {
      tryDatabase(this.#context, database, () => database.transaction(() => this.#enqueueDue()))
      this.start()
    })
  }

  stop(): void {
    this.#cancel()
  }

  /** Call it inside the letter's transaction. Stores only revocations by hosts whose invites are valid here. */
  receive(revoked: readonly Revocation[]): void {
    const { self, crypto } = this.#context
    for (const revocation of revoked) {
      const isKnownHost = self.hosts.some((host) => equalBytes(host, revocation.host))
      if (isKnownHost && checkRevocation(crypto, revocation)) this.#options.revocations.add(revocation)
    }
  }

  /** The latest revocations, in chunks for one letter each. */
  get all(): readonly (readonly Revocation[])[] {
    return chunksOf(this.#options.revocations.latest(maxRevocationsAtOnce), limits.tableRevocations)
  }

  #enqueueDue(): void {
    const { hosts, outgoingLetters, revocations } = this.#options
    const now = this.#context.clock.wallNow()
    const revoked = revocations.due(now - repeatMs, limits.tableRevocations)
    if (revoked.length === 0) return
    for (const host of hosts.values()) outgoingLetters.enqueueTable(host, [], { revoked })
    revocations.markSent(revoked, now)
  }
}
