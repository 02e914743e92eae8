// Looking into the post office of a bench: its mailboxes as folders, its queue as files.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { PostOffice } from '../harness/post-office.ts'
import { sleep } from './report.ts'

const longestMs = 120_000

export function mailCount(office: PostOffice, user: string): number {
  const folder = office.maildirOf(user)
  return ['new', 'cur'].reduce((sum, part) => sum + readdirSync(join(folder, part)).length, 0)
}

/** Sizes of the newest mails of a user as they were sent, newest first: without what servers put before them. */
export function newestMails(
  office: PostOffice,
  user: string,
  count: number,
): { readonly bytes: number; readonly answers: boolean }[] {
  const folder = office.maildirOf(user)
  return ['new', 'cur']
    .flatMap((part) => readdirSync(join(folder, part)).map((name) => join(folder, part, name)))
    .map((path) => ({ path, at: statSync(path).mtimeMs }))
    .sort((a, b) => b.at - a.at)
    .slice(0, count)
    .map(({ path }) => {
      // Servers store LF line ends; From is the first field of what nodemailer composes.
      const text = readFileSync(path, 'latin1').replaceAll('\r\n', '\n')
      const sent = text.slice(text.search(/^From: /m))
      return { bytes: sent.replaceAll('\n', '\r\n').length, answers: /^In-Reply-To: /m.test(sent) }
    })
}

/** Resolves when Postfix has delivered everything it took. */
export async function queueIsEmpty(office: PostOffice): Promise<void> {
  const until = performance.now() + longestMs
  while (
    ['maildrop', 'incoming', 'active', 'deferred'].some((part) =>
      hasFiles(join(office.folder, 'queue', part)),
    )
  ) {
    if (performance.now() > until) throw new Error('Postfix does not deliver what it took')
    await sleep(50)
  }
}

/** The deferred queue is hashed into subfolders. */
function hasFiles(folder: string): boolean {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).some((entry) => entry.isFile())
}
