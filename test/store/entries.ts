// Entries of the peer table from small numbers, for tests.

import type { RoomTag, UserId } from '../../src/letter/letter-types.ts'
import { type HostDatabase, openHostDatabase } from '../../src/store/host-database.ts'
import type { NewEntry } from '../../src/store/peer-table.ts'

export function roomTag(index: number): RoomTag {
  return new Uint8Array(32).fill(100 + index)
}

export function userId(index: number): UserId {
  const id = new Uint8Array(32)
  new DataView(id.buffer).setUint32(0, Math.imul(index + 1, 2654435761) >>> 0)
  return id
}

export function newEntry(index: number, sentAt: number, changes: Partial<NewEntry> = {}): NewEntry {
  return {
    user: userId(index),
    nickname: `agent ${index}`,
    session: { id: new Uint8Array(16).fill(sentAt & 255), publicKey: new Uint8Array(32).fill(index & 255) },
    returnAddress: `agent${index}@mail.test`,
    candidates: [
      { kind: 'server-reflexive', endpoint: { address: '203.0.113.7', port: 1000 + (index % 60000) } },
    ],
    nat: { mapping: 'EIM', filtering: 'APDF', allocation: { type: 'preserving' } },
    sentAt,
    inviteId: null,
    ...changes,
  }
}

/** postgres-database.test.ts runs the same tests on PostgreSQL. */
const current: { open: () => HostDatabase } = { open: () => openHostDatabase(':memory:') }

export function useDatabases(open: () => HostDatabase): void {
  current.open = open
}

/** An empty database. The previous one must not be used any more. */
export function openMemory(): HostDatabase {
  return current.open()
}
