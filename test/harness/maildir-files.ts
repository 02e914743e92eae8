// Reads and writes the files of a mail server's Maildir: delivers mails as another program does, and shows
// whether anything was changed.

import { createHash } from 'node:crypto'
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { rawMail, testSubject } from './mailbox-helpers.ts'

let dropped = 0

/** Delivers a mail; with flags it looks as if a reader has seen it. Returns the base of its file name. */
export function dropMail(maildir: string, raw: Uint8Array, flags?: string): string {
  const name = `${Math.floor(Date.now() / 1000)}.M${String(++dropped).padStart(6, '0')}P1.test`
  const place = flags === undefined ? join('new', name) : join('cur', `${name}:2,${flags}`)
  writeFileSync(join(maildir, place), raw)
  return name
}

/** Every mail's name with its flags and, in Dovecot, its UID; and its bytes. */
export function maildirSnapshot(maildir: string): Map<string, string> {
  const uids = uidsOf(maildir)
  const files = ['new', 'cur'].flatMap((part) =>
    readdirSync(join(maildir, part)).map((name) => [part, name] as const),
  )
  return new Map(
    files.map(([part, name]) => {
      // Dovecot moves mails from new/ to cur/ and appends empty flags and sizes; that is no change.
      const base = name.split(/[,:]/)[0] ?? ''
      const flags = /:2,(.*)$/.exec(name)?.[1] ?? ''
      const bytes = readFileSync(join(maildir, part, name))
      return [
        `${base} flags=${flags} uid=${uids.get(base) ?? ''}`,
        createHash('sha256').update(bytes).digest('hex'),
      ]
    }),
  )
}

/**
 * Parses Dovecot's `dovecot-uidlist`: the first line has UIDVALIDITY, the others are `UID fields :file name`.
 */
function uidsOf(maildir: string): Map<string, string> {
  const file = join(maildir, 'dovecot-uidlist')
  const uids = new Map<string, string>()
  if (!existsSync(file)) return uids
  const [head = '', ...lines] = readFileSync(file, 'utf8').split('\n')
  const validity = / V(\d+)/.exec(head)?.[1] ?? ''
  for (const line of lines) {
    const match = /^(\d+) .*:([^,:]+)/.exec(line)
    if (match?.[1] && match[2]) uids.set(match[2], `${validity}.${match[1]}`)
  }
  return uids
}

/** All kinds of mails that a mailbox for `address` must not touch. */
export function foreignMails(address: string, count: number): { raw: Uint8Array; flags?: string }[] {
  return Array.from({ length: count }, (_, i) => {
    switch (i % 6) {
      case 0:
        return { raw: rawMail({ to: address, subject: `Lunch ${i}` }) }
      case 1:
        return { raw: rawMail({ to: address, subject: `Re: ${testSubject}` }) }
      case 2:
        return { raw: rawMail({ to: 'somebody@else.test' }) }
      case 3:
        return { raw: rawMail({ to: address, subject: 'Seen', text: testSubject }), flags: 'S' }
      case 4:
        return { raw: rawMail({ to: `x${address}`, subject: testSubject, text: '.\r\n..dots' }) }
      default:
        return { raw: rawMail({ to: 'somebody@else.test', subject: testSubject }), flags: 'FT' }
    }
  })
}
