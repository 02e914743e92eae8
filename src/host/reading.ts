// From a mail in the mailbox to a letter somebody signed, or the reason why it is none.

import type { Letter } from '../letter/kinds.ts'
import { limits } from '../letter/limits.ts'
import { readLetter } from '../letter/mail-text.ts'
import type { Refusal } from '../letter/refusal.ts'
import type { FetchedMail } from '../mail/mailbox.ts'
import { type ReadMail, readMail } from '../mail/mime-reader.ts'
import type { HostParts } from './parts.ts'

export type Reading =
  | { readonly ok: true; readonly letter: Letter; readonly mail: Omit<ReadMail, 'text'> }
  | { readonly ok: false; readonly refusal: Refusal }

export async function readFetched(
  { self, crypto }: Pick<HostParts, 'self' | 'crypto'>,
  fetched: FetchedMail,
): Promise<Reading> {
  if (fetched.raw === null) return { ok: false, refusal: 'too-big' }
  const read = await readMail(fetched.raw, limits.mailBytes)
  if (!read.ok) return read
  const opened = readLetter(crypto, read.mail.text, {
    identity: self.identity.publicKey,
    keyPairs: [self.sealingKeys],
  })
  return opened.ok ? { ok: true, letter: opened.letter, mail: read.mail } : opened
}
