// What a member of a room has: by the room's 32-byte secret, or by an invite with a key of its own, which a host made
// and can revoke. Hosts see the tag, the proofs and the grants only.

import { concatBytes, equalBytes, utf8, viewOf } from '../base/bytes.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { Grant, RequestLetter, RoomTag, UserId } from './letter-types.ts'

export type RoomKeys = {
  /** Public half of the key that the room's secret yields: names the room to hosts. */
  readonly tag: RoomTag
  /** The pair of the tag, or that of an invite. */
  readonly proofKeyPair: KeyPair
  /** Of the invite; left out by who has the room's secret. */
  readonly grant?: Grant
  /** 32 bytes that agents mix into the keys of their links; no host can compute it. */
  readonly linkSecret: Uint8Array
}

const proofDomain = utf8('peerpost room proof 1\0')
const grantDomain = utf8('peerpost invite 1\0')

export function roomKeys(crypto: Crypto, secret: Uint8Array): RoomKeys {
  const seed = crypto.derive(secret, 'pp-proof', 1)
  const proofKeyPair = crypto.signKeyPair(seed)
  crypto.wipe(seed)
  return { tag: proofKeyPair.publicKey, proofKeyPair, linkSecret: crypto.derive(secret, 'pp-links', 1) }
}

/** What an invite of its own holds instead of the room's secret. */
export type Pass = {
  readonly tag: RoomTag
  readonly linkSecret: Uint8Array
  /** 32 bytes: of the key pair whose public half is in the grant. */
  readonly seed: Uint8Array
  readonly grant: Grant
}

/** The keys of a member who was sent a secret or a pass. */
export function memberKeys(crypto: Crypto, room: { readonly secret: Uint8Array } | { readonly pass: Pass }) {
  if ('secret' in room) return roomKeys(crypto, room.secret)
  const { tag, linkSecret, seed, grant } = room.pass
  return { tag, linkSecret, proofKeyPair: crypto.signKeyPair(seed), grant } satisfies RoomKeys
}

/** A pass for a room, made by the host with this identity. `seed` is new and random. */
export function makePass(
  crypto: Crypto,
  room: RoomKeys,
  host: KeyPair,
  seed: Uint8Array,
  terms: Pick<Grant, 'until' | 'uses'>,
): Pass {
  const granted = { ...terms, key: crypto.signKeyPair(seed).publicKey, host: host.publicKey }
  const signature = crypto.sign(grantedBytes(room.tag, granted), host.secretKey)
  return { tag: room.tag, linkSecret: room.linkSecret, seed, grant: { ...granted, signature } }
}

/** Whether this host made the invite, for this room and on these terms. */
export function checkGrant(crypto: Crypto, room: RoomTag, host: UserId, grant: Grant): boolean {
  return equalBytes(grant.host, host) && crypto.verify(grant.signature, grantedBytes(room, grant), host)
}

/** All fields have fixed lengths. No end is the last of numbers, no limit is 0. */
function grantedBytes(room: RoomTag, { key, until, uses }: Omit<Grant, 'signature'>): Uint8Array {
  const terms = new Uint8Array(12)
  viewOf(terms).setBigUint64(0, until === undefined ? 2n ** 64n - 1n : BigInt(until))
  viewOf(terms).setUint32(8, uses ?? 0)
  return concatBytes(grantDomain, room, key, terms)
}

type Proven = Pick<RequestLetter, 'from' | 'to' | 'id' | 'session'>

/** All fields have fixed lengths, so that the bytes read one way only. */
function provenBytes({ from, to, id, session }: Proven): Uint8Array {
  return concatBytes(proofDomain, from, to, id, session.id, session.publicKey)
}

/** The `proof` of a request: bound to its sender, host, ID and session, so that a host cannot use it again. */
export function proveMembership(crypto: Crypto, keys: RoomKeys, proven: Proven): Uint8Array {
  return crypto.sign(provenBytes(proven), keys.proofKeyPair.secretKey)
}

/** Whether the sender of a request has the secret half of the key in its grant, or without one that of the room tag.
 *  Whether the grant is good is another question: see `checkGrant`. */
export function checkProof(crypto: Crypto, letter: RequestLetter): boolean {
  return crypto.verify(letter.proof, provenBytes(letter), letter.grant?.key ?? letter.room)
}
