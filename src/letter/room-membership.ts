// The keys of a member of a room. A member has the 32-byte secret of the room, or an invite with a key of its own that the
// host made and can revoke. Hosts see only the tag, the proofs and the grants.

import { concatBytes, equalBytes, utf8, viewOf } from '../base/bytes.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { Grant, RequestLetter, RoomTag, UserId } from './letter-types.ts'

export type RoomKeys = {
  /** Public key derived from the room's secret. Hosts know the room by it. */
  readonly tag: RoomTag
  /** The key pair of the tag, or of an invite. */
  readonly proofKeyPair: KeyPair
  /** The grant of the invite. Left out for a member that has the room's secret. */
  readonly grant?: Grant
  /** 32 bytes that agents mix into the keys of their links. A host cannot compute them. */
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

/** What an invite has if it does not have the room's secret. */
export type Pass = {
  readonly tag: RoomTag
  readonly linkSecret: Uint8Array
  /** 32 bytes: the seed of the key pair whose public key is in the grant. */
  readonly seed: Uint8Array
  readonly grant: Grant
}

/** The keys of a member, from the secret or the pass in its invite. */
export function memberKeys(crypto: Crypto, room: { readonly secret: Uint8Array } | { readonly pass: Pass }) {
  if ('secret' in room) return roomKeys(crypto, room.secret)
  const { tag, linkSecret, seed, grant } = room.pass
  return { tag, linkSecret, proofKeyPair: crypto.signKeyPair(seed), grant } satisfies RoomKeys
}

/** Makes a pass for a room. `host`: the identity of the host that makes it. `seed`: 32 new random bytes. */
export function makePass(
  crypto: Crypto,
  room: RoomKeys,
  host: KeyPair,
  seed: Uint8Array,
  terms: Pick<Grant, 'until' | 'uses'>,
): Pass {
  const grant = { ...terms, key: crypto.signKeyPair(seed).publicKey, host: host.publicKey }
  const signature = crypto.sign(grantBytes(room.tag, grant), host.secretKey)
  return { tag: room.tag, linkSecret: room.linkSecret, seed, grant: { ...grant, signature } }
}

/** Whether this host made the invite, for this room and on these terms. */
export function checkGrant(crypto: Crypto, room: RoomTag, host: UserId, grant: Grant): boolean {
  return equalBytes(grant.host, host) && crypto.verify(grant.signature, grantBytes(room, grant), host)
}

/** All fields have fixed lengths. Without an end `until` is the largest 64-bit number, without a limit `uses` is 0. */
function grantBytes(room: RoomTag, { key, until, uses }: Omit<Grant, 'signature'>): Uint8Array {
  const terms = new Uint8Array(12)
  viewOf(terms).setBigUint64(0, until === undefined ? 2n ** 64n - 1n : BigInt(until))
  viewOf(terms).setUint32(8, uses ?? 0)
  return concatBytes(grantDomain, room, key, terms)
}

type Proven = Pick<RequestLetter, 'from' | 'to' | 'id' | 'session'>

/** All fields have fixed lengths, so no two requests have the same bytes. */
function proofBytes({ from, to, id, session }: Proven): Uint8Array {
  return concatBytes(proofDomain, from, to, id, session.id, session.publicKey)
}

/** Makes the `proof` of a request. It covers sender, host, ID and session, so a host cannot use it in another request. */
export function proveMembership(crypto: Crypto, keys: RoomKeys, proven: Proven): Uint8Array {
  return crypto.sign(proofBytes(proven), keys.proofKeyPair.secretKey)
}

/** Whether the sender of a request has the secret key of its grant or, without a grant, of the room tag. `checkGrant` checks
 *  the grant itself. */
export function checkProof(crypto: Crypto, letter: RequestLetter): boolean {
  return crypto.verify(letter.proof, proofBytes(letter), letter.grant?.key ?? letter.room)
}
