// User IDs as text for people and logs.

import { fromBase32, toBase32 } from './base32.ts'
import type { UserId } from './letter-types.ts'

/** All 32 bytes in 52 characters of base32. */
export function userIdText(id: UserId): string {
  return toBase32(id)
}

/** Reads the text of `userIdText`, in upper or lower case. Null if it is not a user ID. */
export function readUserId(text: string): UserId | null {
  if (text.length !== 52) return null
  const id = fromBase32(text.toLowerCase())
  return id?.length === 32 ? id : null
}
