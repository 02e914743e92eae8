// The rows of version 1: written by make.ts, read by version-1.test.ts.

import type { KeyPair } from '../../../src/base/crypto.ts'
import { makeRevocation } from '../../../src/letter/invite-revocation.ts'
import type { Grant, RoomTag, UserId } from '../../../src/letter/letter-types.ts'
import { BlockedKeys } from '../../../src/store/blocked-keys.ts'
import { ForwardedLetters } from '../../../src/store/forwarded-letters.ts'
import type { HostDatabase } from '../../../src/store/host-database.ts'
import { InviteRevocations } from '../../../src/store/invite-revocations.ts'
import { Invites } from '../../../src/store/invites.ts'
import { MailLeases } from '../../../src/store/mail-leases.ts'
import { Outbox } from '../../../src/store/outbox.ts'
import { type NewEntry, PeerTable } from '../../../src/store/peer-table.ts'
import { PendingIntroductions } from '../../../src/store/pending-introductions.ts'
import { SeenLetters } from '../../../src/store/seen-letters.ts'
import { SendBudget } from '../../../src/store/send-budget.ts'
import { SignedStatements } from '../../../src/store/signed-statements.ts'
import { defaultUnreachable, UnreachableAddresses } from '../../../src/store/unreachable-addresses.ts'
import { itemVersion } from '../../../src/sync/item-version.ts'
import { realCrypto as crypto } from '../../harness/seeded-crypto.ts'

/** 1 November 2026, 12:00 UTC. */
export const writtenAt = 1_793_534_400_000
const dayMs = 24 * 3_600_000
export const inviteEnd = writtenAt + 30 * dayMs

export const bytes = (length: number, fill: number) => new Uint8Array(length).fill(fill)
export const users = {
  anna: bytes(32, 1),
  ben: bytes(32, 2),
  left: bytes(32, 3),
  blocked: bytes(32, 4),
} as const satisfies Record<string, UserId>
export const otherHost = bytes(32, 5)
export const revokedKey = bytes(32, 6)
export const worker = bytes(32, 7)
export const sender = bytes(16, 8)
export const forwardId = bytes(16, 9)
export const letterId = bytes(16, 10)
export const signedBy = (who: keyof typeof users) => bytes(100, (users[who][0] as number) + 100)
export const replyRaw = bytes(300, 11)
export const bounced = 'gone@example.org'

export const anna = {
  user: users.anna,
  nickname: 'anna',
  session: { id: bytes(16, 21), publicKey: bytes(32, 22) },
  returnAddress: 'anna@example.org',
  candidates: [
    { kind: 'server-reflexive', endpoint: { address: '203.0.113.7', port: 40_000 } },
    { kind: 'host', endpoint: { address: '192.168.1.7', port: 7_777 } },
  ],
  tcpCandidates: [{ kind: 'host', endpoint: { address: '192.168.1.7', port: 7_777 } }],
  nat: { mapping: 'APDM', filtering: 'APDF', allocation: { type: 'sequential', step: 2 } },
  sentAt: writtenAt - 1_000,
} as const satisfies Omit<NewEntry, 'inviteId'>

export const ben = {
  ...anna,
  user: users.ben,
  nickname: 'Bén',
  returnAddress: 'ben@example.net',
  tcpCandidates: [],
} as const satisfies Omit<NewEntry, 'inviteId'>

/** All repositories, with settings under which nothing has expired at `writtenAt`. */
export function openTables(database: HostDatabase) {
  return {
    peers: new PeerTable(database, { capacity: 100, expiryMs: dayMs / 2 }),
    statements: new SignedStatements(database, crypto, { capacity: 100 }),
    seen: new SeenLetters(database, { capacity: 100, freshnessMs: dayMs, futureToleranceMs: 1_000 }),
    invites: new Invites(database),
    revocations: new InviteRevocations(database),
    blocked: new BlockedKeys(database),
    outbox: new Outbox(database, { capacity: 100 }),
    budget: new SendBudget(database, { perDay: 400 }),
    introductions: new PendingIntroductions(database),
    unreachable: new UnreachableAddresses(database, defaultUnreachable),
    forwards: new ForwardedLetters(database, { senders: 100, forwards: 100 }),
  }
}

/** Writes at least one row into every table. */
export function writeRows(database: HostDatabase, room: RoomTag, host: KeyPair, grant: Grant): void {
  const tables = openTables(database)
  const { invites, peers, statements, outbox } = tables
  invites.add(room, grant, 'for anna', writtenAt)
  invites.add(room, { key: revokedKey, until: inviteEnd, uses: 3, host: host.publicKey }, '', writtenAt)
  const inviteId = invites.check(room, grant.key, users.anna, writtenAt)?.id as number
  invites.use(inviteId, users.anna, writtenAt)
  tables.revocations.add(makeRevocation(crypto, host, { key: revokedKey, at: writtenAt, until: inviteEnd }))

  peers.upsert(room, { ...anna, inviteId }, writtenAt)
  peers.upsert(room, { ...ben, inviteId: null }, writtenAt + 1)
  peers.upsert(room, { ...ben, user: users.left, inviteId: null }, writtenAt)
  for (const who of ['anna', 'ben'] as const) {
    const version = itemVersion(crypto, anna.sentAt, signedBy(who))
    const receivedFrom = who === 'ben' ? otherHost : null
    statements.put(room, users[who], {
      version,
      flagged: false,
      signed: signedBy(who),
      receivedFrom,
      offered: [],
    })
  }
  peers.leave(room, users.left, writtenAt)
  statements.putLeave(room, users.left, writtenAt, signedBy('left'))
  tables.blocked.add(users.blocked, 'mallory', writtenAt)

  tables.seen.remember(users.anna, letterId, anna.sentAt)
  database.countAsStale(writtenAt - dayMs)
  tables.introductions.note(room, [users.ben], users.anna, writtenAt)
  const mail = { recipient: anna.returnAddress, raw: replyRaw }
  outbox.add({ ...mail, messageId: '<reply@example.org>', kind: 'reply' }, writtenAt, users.anna)
  outbox.add({ ...mail, messageId: '<table@example.org>', kind: 'table' }, writtenAt)
  tables.budget.count(17, writtenAt)
  tables.unreachable.note(bounced, writtenAt - 1_000, writtenAt)

  tables.forwards.assign(sender, worker, writtenAt)
  const letter = { mailFrom: 'anna@example.org', mailDate: writtenAt, mailId: '<letter@example.org>' }
  const boxes = [bytes(50, 31), bytes(60, 32)]
  tables.forwards.put({ ...letter, id: forwardId, sender, worker, boxes }, '<forward@example.org>', writtenAt)
  if (database.connection.isShared)
    new MailLeases(database, 'process 1').leaseLetters(['INBOX/1'], writtenAt, writtenAt + 60_000)
}
