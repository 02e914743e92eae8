// An item stands for one user in one room when two hosts compare their tables: a key for the user, and a version that says
// how new the host's knowledge is. Items are short, because ten thousand of them may be compared by mail.
//
//   0        8         14          19       20
//   +--------+---------+-----------+--------+
//   | key    | sent at | content   | flags  |      key: hash of room and user; flags: bit 0, an agent failed to reach the user
//   +--------+---------+-----------+--------+

import { concatBytes, toHex, utf8, viewOf } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { limits } from '../letter/limits.ts'

/** 16 hexadecimal digits for one user in one room. */
export type ItemKey = string

export type Item = {
  readonly key: ItemKey
  /** 22 hexadecimal digits: when it was signed, then a hash of its content. A newer version is the greater text. */
  readonly version: string
  readonly flagged: boolean
}

const { tableKeyBytes: keyBytes, tableItemBytes: itemBytes } = limits
export const { tableHashBytes: hashBytes } = limits
const instantBytes = 6
const contentBytes = 5

const keyDomain = utf8('peerpost table key 1\0')
const contentDomain = utf8('peerpost table content 1\0')

export function itemKey(crypto: Crypto, room: Uint8Array, user: Uint8Array): ItemKey {
  return toHex(crypto.hash(concatBytes(keyDomain, room, user), 16).subarray(0, keyBytes))
}

/**
 * `sentAt`: Unix ms. `content`: the bytes of `requestContent`. They decide between two requests that were signed at the same
 * millisecond.
 */
export function itemVersion(crypto: Crypto, sentAt: number, content: Uint8Array): string {
  const contentHash = crypto.hash(concatBytes(contentDomain, content), 16).subarray(0, contentBytes)
  return instantDigits(sentAt) + toHex(contentHash)
}

/** The version of a user that left. It is newer than any request signed at the same millisecond. */
export function leaveVersion(sentAt: number): string {
  return instantDigits(sentAt) + 'f'.repeat(2 * contentBytes)
}

/** When it was signed, Unix ms. */
export function signedAt({ version }: Pick<Item, 'version'>): number {
  return Number.parseInt(version.slice(0, 2 * instantBytes), 16)
}

function instantDigits(sentAt: number): string {
  return sentAt.toString(16).padStart(2 * instantBytes, '0')
}

export function encodeItems(items: readonly Item[]): Uint8Array {
  const bytes = new Uint8Array(items.length * itemBytes)
  items.forEach((item, index) => {
    bytes.set(fromHex(item.key + item.version), index * itemBytes)
    bytes[index * itemBytes + itemBytes - 1] = item.flagged ? 1 : 0
  })
  return bytes
}

/** Null if it is not a whole number of items. */
export function decodeItems(bytes: Uint8Array): readonly Item[] | null {
  if (bytes.length % itemBytes !== 0) return null
  return Array.from({ length: bytes.length / itemBytes }, (_, index) => {
    const item = bytes.subarray(index * itemBytes, (index + 1) * itemBytes)
    return {
      key: toHex(item.subarray(0, keyBytes)),
      version: toHex(item.subarray(keyBytes, itemBytes - 1)),
      flagged: ((item[itemBytes - 1] as number) & 1) === 1,
    }
  })
}

export function encodeKeys(keys: readonly ItemKey[]): Uint8Array {
  return fromHex(keys.join(''))
}

/** Null if it is not a whole number of keys. */
export function decodeKeys(bytes: Uint8Array): readonly ItemKey[] | null {
  if (bytes.length % keyBytes !== 0) return null
  return Array.from({ length: bytes.length / keyBytes }, (_, index) =>
    toHex(bytes.subarray(index * keyBytes, (index + 1) * keyBytes)),
  )
}

/** A short hash of an item. The hash of several items is the XOR of their hashes. */
export function itemHash(crypto: Crypto, item: Item): Uint8Array {
  return crypto.hash(encodeItems([item]), 16).subarray(0, hashBytes)
}

/** Adds an item to the hash of several items in `target`, or removes it. */
export function xorHash(target: Uint8Array, hash: Uint8Array): void {
  for (let at = 0; at < hashBytes; at++) target[at] = (target[at] as number) ^ (hash[at] as number)
}

/** The leaf of the hash tree that an item belongs to, 0 to 4095. */
export function leafOf(key: ItemKey): number {
  return Number.parseInt(key.slice(0, 3), 16)
}

export const { tableGroups: groups, tableLeavesInGroup: leavesInGroup } = limits

function fromHex(hex: string): Uint8Array {
  const bytes = new Uint8Array(hex.length / 2)
  const view = viewOf(bytes)
  for (let at = 0; at < bytes.length; at++)
    view.setUint8(at, Number.parseInt(hex.slice(2 * at, 2 * at + 2), 16))
  return bytes
}
