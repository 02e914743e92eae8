// User IDs as people and logs see them.

import { fromBase32, toBase32 } from './base32.ts'
import type { UserId } from './letter-types.ts'

/** All 32 bytes in 52 characters of base32. */
export function userIdText(id: UserId): string {
  return toBase32(id)
}

/** Reads what `userIdText` wrote, in either case; null for anything else. */
export function readUserId(text: string): UserId | null {
  if (text.length !== 52) return null
  const id = fromBase32(text.toLowerCase())
  return id?.length === 32 ? id : null
}
