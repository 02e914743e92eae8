// Derives the keys that two agents share before their first packet, from both session keys and the room's link secret.
//
//     kx      = crypto_kx(my session, their session)           per direction
//     key     = BLAKE2b(kx ‖ both session public keys, key = room's link secret)
//     punch   = kdf(key, "pp-punch", 1)      link = kdf(key, "pp-link-", 2)      signal = kdf(key, "pp-signl", 3)
//     tcp     = kdf(key, "pp-tcp--", 4)
//     tag     = first 8 bytes of BLAKE2b("peerpost pair 1" ‖ NUL ‖ both session public keys, key = link secret)
//
// "Both session public keys" are in the order lower, higher. A host that invents a peer cannot derive the keys: it knows
// the room's tag but not the link secret. The link also checks the identities.

import { compareBytes, concatBytes, utf8 } from '../../base/bytes.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'

type DirectedKeys = { readonly sendKey: Uint8Array; readonly receiveKey: Uint8Array }

export type PairKeys = {
  /** Identifies the pair of sessions in every packet between them, 8 bytes. */
  readonly tag: Uint8Array
  readonly punch: DirectedKeys
  readonly link: DirectedKeys
  readonly signal: DirectedKeys
  /** For checks in TCP connections. */
  readonly tcp: DirectedKeys
  /** Whether we open the link. It follows from the order of the keys and needs no negotiation. */
  readonly role: 'opener' | 'responder'
}

/** Null when the peer's session key is invalid or is our own. */
export function derivePairKeys(
  crypto: Crypto,
  mine: KeyPair,
  theirs: Uint8Array,
  linkSecret: Uint8Array,
): PairKeys | null {
  const order = compareBytes(mine.publicKey, theirs)
  if (order === 0) return null
  const first = order < 0
  const exchanged = crypto.exchange(first ? 'client' : 'server', mine, theirs)
  if (!exchanged) return null
  const both = first ? concatBytes(mine.publicKey, theirs) : concatBytes(theirs, mine.publicKey)
  const sendRoot = crypto.hash(concatBytes(exchanged.sendKey, both), 32, linkSecret)
  const receiveRoot = crypto.hash(concatBytes(exchanged.receiveKey, both), 32, linkSecret)
  const directed = (context: string, id: number): DirectedKeys => ({
    sendKey: crypto.derive(sendRoot, context, id),
    receiveKey: crypto.derive(receiveRoot, context, id),
  })
  const keys: PairKeys = {
    tag: crypto.hash(concatBytes(utf8('peerpost pair 1\0'), both), 16, linkSecret).slice(0, 8),
    punch: directed('pp-punch', 1),
    link: directed('pp-link-', 2),
    signal: directed('pp-signl', 3),
    tcp: directed('pp-tcp--', 4),
    role: first ? 'opener' : 'responder',
  }
  for (const secret of [exchanged.sendKey, exchanged.receiveKey, sendRoot, receiveRoot]) crypto.wipe(secret)
  return keys
}

export function wipePairKeys(crypto: Pick<Crypto, 'wipe'>, { punch, link, signal, tcp }: PairKeys): void {
  for (const { sendKey, receiveKey } of [punch, link, signal, tcp]) {
    crypto.wipe(sendKey)
    crypto.wipe(receiveKey)
  }
}
