// The tables that a host uses in every role. Each class gets those that it needs, by name.

import { BlockedKeys } from '../store/blocked-keys.ts'
import type { HostDatabase } from '../store/host-database.ts'
import { InviteRevocations } from '../store/invite-revocations.ts'
import { Invites } from '../store/invites.ts'
import { MailLeases } from '../store/mail-leases.ts'
import { Outbox } from '../store/outbox.ts'
import { PeerTable } from '../store/peer-table.ts'
import { PendingIntroductions } from '../store/pending-introductions.ts'
import { SeenLetters } from '../store/seen-letters.ts'
import { SendBudget } from '../store/send-budget.ts'
import { UnreachableAddresses } from '../store/unreachable-addresses.ts'
import type { HostSettings } from './settings.ts'

export type Repositories = {
  readonly database: HostDatabase
  readonly peers: PeerTable
  readonly seen: SeenLetters
  readonly invites: Invites
  readonly revocations: InviteRevocations
  readonly blocked: BlockedKeys
  readonly outbox: Outbox
  readonly budget: SendBudget
  readonly introductions: PendingIntroductions
  readonly unreachable: UnreachableAddresses
  /** Null when no other process uses the same tables. */
  readonly leases: MailLeases | null
}

/** `owner` names this process in its leases. No other process, now or later, may use the same. */
export function openRepositories(
  database: HostDatabase,
  settings: HostSettings,
  owner: string,
): Repositories {
  return {
    database,
    peers: new PeerTable(database, settings),
    seen: new SeenLetters(database, { ...settings, capacity: settings.seenCapacity }),
    invites: new Invites(database),
    revocations: new InviteRevocations(database),
    blocked: new BlockedKeys(database),
    outbox: new Outbox(database, { capacity: settings.outboxCapacity }),
    budget: new SendBudget(database, settings),
    introductions: new PendingIntroductions(database),
    unreachable: new UnreachableAddresses(database, settings.unreachable),
    leases: database.connection.isShared ? new MailLeases(database, owner) : null,
  }
}
