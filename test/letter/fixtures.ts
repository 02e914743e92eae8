// Fixed users, rooms and letters for the tests of this room. All keys come from fixed seeds, so the golden bytes match.

import type { Crypto, KeyPair } from '../../src/base/crypto.ts'
import type { Letter, LetterKind, OfferedPeer, RequestLetter } from '../../src/letter/letter-types.ts'
import {
  makePass,
  memberKeys,
  type Pass,
  proveMembership,
  type RoomKeys,
  roomKeys,
} from '../../src/letter/room-membership.ts'
import { signLetter } from '../../src/letter/signature.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'

/** Bytes that count up from `first`, easy to find in a dump. */
export function counting(first: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (first + index) & 0xff)
}

export const crypto: Crypto = realCrypto
export const host: KeyPair = crypto.signKeyPair(new Uint8Array(32).fill(1))
export const hostSealing: KeyPair = crypto.boxKeyPair(new Uint8Array(32).fill(2))
export const anna: KeyPair = crypto.signKeyPair(new Uint8Array(32).fill(3))
export const annaSession: KeyPair = crypto.boxKeyPair(new Uint8Array(32).fill(4))
export const ben: KeyPair = crypto.signKeyPair(new Uint8Array(32).fill(5))
export const benSession: KeyPair = crypto.boxKeyPair(new Uint8Array(32).fill(6))
export const otherHost: KeyPair = crypto.signKeyPair(new Uint8Array(32).fill(7))
export const roomSecret: Uint8Array = new Uint8Array(32).fill(8)
export const room: RoomKeys = roomKeys(crypto, roomSecret)

const sentAt = Date.UTC(2026, 10, 20, 12)
const session = { id: counting(0x30, 16), publicKey: annaSession.publicKey }
const fromAnna = { from: anna.publicKey, to: host.publicKey, sentAt }
const toAnna = { from: host.publicKey, to: anna.publicKey, sentAt: sentAt + 1500 }

/** An invite for five agents that ends at the new year. */
export const pass: Pass = makePass(crypto, room, host, new Uint8Array(32).fill(9), {
  until: Date.UTC(2027, 0, 1),
  uses: 5,
})
export const guest: RoomKeys = memberKeys(crypto, { pass })

const unproven: Omit<RequestLetter, 'proof'> = {
  kind: 'request',
  ...fromAnna,
  id: counting(0x10, 16),
  session,
  returnAddress: 'anna@example.org',
  nickname: 'Anna',
  room: room.tag,
  candidates: [
    { kind: 'host', endpoint: { address: '192.168.1.20', port: 40000 } },
    { kind: 'server-reflexive', endpoint: { address: '203.0.113.5', port: 51234 } },
    { kind: 'host', endpoint: { address: '2001:db8::20', port: 40000 } },
  ],
  nat: { mapping: 'EIM', filtering: 'APDF', allocation: { type: 'preserving' } },
}

export const request: RequestLetter = { ...unproven, proof: proveMembership(crypto, room, unproven) }

/** The same request by a member that used this invite. */
export const grantedRequest: RequestLetter = {
  ...unproven,
  grant: pass.grant,
  proof: proveMembership(crypto, guest, unproven),
}

export const benOffered: OfferedPeer = {
  id: ben.publicKey,
  nickname: 'Ben ☕',
  session: { id: counting(0x50, 16), publicKey: benSession.publicKey },
  candidates: [{ kind: 'server-reflexive', endpoint: { address: '198.51.100.7', port: 6000 } }],
  nat: { mapping: 'APDM', filtering: 'unknown', allocation: { type: 'sequential', step: -2 } },
  sameNat: false,
  flagged: true,
  ageMs: 61_000,
}

/** One of each kind. */
export const letters: { readonly [Kind in LetterKind]: Extract<Letter, { kind: Kind }> } = {
  request,
  reply: {
    kind: 'reply',
    ...toAnna,
    id: counting(0x20, 16),
    sessionId: session.id,
    expiresInMs: 43_200_000,
    peers: [benOffered],
  },
  introduction: {
    kind: 'introduction',
    ...toAnna,
    id: counting(0x21, 16),
    sessionId: session.id,
    peers: [benOffered],
  },
  signal: {
    kind: 'signal',
    ...fromAnna,
    id: counting(0x11, 16),
    room: room.tag,
    peer: ben.publicKey,
    box: counting(0, 40),
  },
  failure: {
    kind: 'failure',
    ...fromAnna,
    id: counting(0x12, 16),
    room: room.tag,
    peer: ben.publicKey,
    reason: 'no-answer',
  },
  leave: { kind: 'leave', ...fromAnna, id: counting(0x13, 16), room: room.tag },
  'table-request': {
    kind: 'table-request',
    from: otherHost.publicKey,
    to: host.publicKey,
    sentAt,
    id: counting(0x40, 16),
    comparison: { groups: counting(0, 384) },
  },
  table: {
    kind: 'table',
    from: host.publicKey,
    to: otherHost.publicKey,
    sentAt,
    id: counting(0x41, 16),
    statements: [{ signed: signLetter(crypto, request, anna), flagged: false, ageMs: 61_000 }],
    introduce: [{ room: room.tag, requester: anna.publicKey, recipient: ben.publicKey, hopsLeft: 3 }],
  },
  forward: {
    kind: 'forward',
    from: host.publicKey,
    to: otherHost.publicKey,
    sentAt,
    id: counting(0x42, 16),
    mailFrom: 'anna@example.org',
    boxes: counting(0x60, 32),
  },
  taken: {
    kind: 'taken',
    from: otherHost.publicKey,
    to: host.publicKey,
    sentAt,
    id: counting(0x43, 16),
    ids: counting(0x42, 16),
  },
}

const identities: readonly KeyPair[] = [host, anna, ben, otherHost]

/** The key pair of a letter's `from`. */
export function identityOf(letter: Letter): KeyPair {
  const found = identities.find((pair) => pair.publicKey === letter.from)
  if (!found) throw new Error('this letter has no fixed sender')
  return found
}
