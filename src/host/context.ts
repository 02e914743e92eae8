// What the parts of a host share: its memory, its settings, its clock, and a way to tell.

import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { messageOf, Problem } from '../base/problem.ts'
import type { InviteHost } from '../letter/invite.ts'
import type { UserId } from '../letter/letter-types.ts'
import { BlockedKeys } from '../store/blocked-keys.ts'
import type { HostDatabase } from '../store/host-database.ts'
import { databaseProblem } from '../store/host-database.ts'
import { InviteRevocations } from '../store/invite-revocations.ts'
import { Invites } from '../store/invites.ts'
import { MailLeases } from '../store/mail-leases.ts'
import { Outbox } from '../store/outbox.ts'
import { PeerTable } from '../store/peer-table.ts'
import { PendingIntroductions } from '../store/pending-introductions.ts'
import { SeenLetters } from '../store/seen-letters.ts'
import { SendBudget } from '../store/send-budget.ts'
import { UnreachableAddresses } from '../store/unreachable-addresses.ts'
import type { HostEvent } from './events.ts'
import type { PeerHosts } from './peer-hosts/peer-hosts.ts'
import type { HostRoom } from './requests/admission-rules.ts'
import type { SenderLimits } from './requests/sender-rate-limits.ts'
import type { HostSettings } from './settings.ts'

/** Ed25519 and X25519. */
export type HostKeyPairs = { readonly identity: KeyPair; readonly sealingKeys: KeyPair }

/** Who the host is and how its mails look. */
export type HostSelf = HostKeyPairs & {
  /** As agents know it: a worker of a representative host goes by keys that all its workers share (A14), any other host by
   *  its own. */
  readonly front: HostKeyPairs
  /** It hands on letters of agents to us; null when they come straight here. */
  readonly representative: InviteHost | null
  readonly address: string
  readonly domain: string
  readonly subject: string
  readonly rooms: readonly HostRoom[]
  /** Hosts whose invites let in as ours do: this one and those that it exchanges tables with. */
  readonly hosts: readonly UserId[]
  /** The agent that runs in the same program at the same address, if one does. */
  readonly ownAgent: UserId | null
  /** User IDs in hex that the config blocks. */
  readonly blocked: ReadonlySet<string>
  /** For the Message-IDs of its mails, see postmark.ts. */
  readonly bounceTokenKey: Uint8Array
}

export type HostMemory = {
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
  /** Null where no other process uses the same tables. */
  readonly claims: MailLeases | null
}

/** All of it but what is built upon it. */
export type HostGround = HostMemory & {
  readonly limits: SenderLimits
  readonly self: HostSelf
  readonly settings: HostSettings
  readonly clock: Clock
  readonly crypto: Crypto
  readonly emit: (event: HostEvent) => void
}

export type HostParts = HostGround & { readonly peerHosts: PeerHosts }

/** `owner`: no other process, now or later, has the same. */
export function openMemory(database: HostDatabase, settings: HostSettings, owner: string): HostMemory {
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
    claims: database.connection.isShared ? new MailLeases(database, owner) : null,
  }
}

/** Whatever the database throws comes out as a Problem 'database', so that it is not taken for a bad letter. */
export function withDatabase<T>(database: HostDatabase, work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw databaseProblem(database.path, thrown)
  }
}

/** As `withDatabase`, in a transaction that waits for those of other processes without keeping ours from its work. */
export async function inTurn<T>(database: HostDatabase, work: () => T): Promise<T> {
  try {
    return await database.asyncTransaction(work)
  } catch (thrown) {
    throw databaseProblem(database.path, thrown)
  }
}

/** In one transaction; what the database cannot do is told, and left. */
export function tryTransaction({ database, emit }: HostGround, work: () => void): void {
  try {
    withDatabase(database, () => database.transaction(work))
  } catch (thrown) {
    if (!(thrown instanceof Problem)) throw thrown
    emit({ event: 'trouble', problem: thrown })
  }
}

/** For what should never be thrown; `what` begins the sentence. */
export function internalProblem(what: string, thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  return new Problem(
    'internal',
    `${what} could not be handled: ${messageOf(thrown)}.`,
    'Please report this.',
    {
      cause: thrown,
    },
  )
}
