// Reads the mail servers' files of a benchmark: Maildirs and Postfix's queue.

import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { MailServers } from '../harness/mail-servers.ts'
import { sleep } from './report.ts'

const maxWaitMs = 120_000

export function mailCount(mailServers: MailServers, user: string): number {
  const folder = mailServers.maildirOf(user)
  return ['new', 'cur'].reduce((sum, subfolder) => sum + readdirSync(join(folder, subfolder)).length, 0)
}

/**
 * Sizes of a user's newest mails as they were sent, newest first, without the header fields that servers add.
 */
export function newestMails(
  mailServers: MailServers,
  user: string,
  count: number,
): { readonly bytes: number; readonly isReply: boolean }[] {
  const folder = mailServers.maildirOf(user)
  return ['new', 'cur']
    .flatMap((part) => readdirSync(join(folder, part)).map((name) => join(folder, part, name)))
    .map((path) => ({ path, at: statSync(path).mtimeMs }))
    .sort((a, b) => b.at - a.at)
    .slice(0, count)
    .map(({ path }) => {
      // Servers store LF line ends. From is the first field that nodemailer writes.
      const text = readFileSync(path, 'latin1').replaceAll('\r\n', '\n')
      const sent = text.slice(text.search(/^From: /m))
      return { bytes: sent.replaceAll('\n', '\r\n').length, isReply: /^In-Reply-To: /m.test(sent) }
    })
}

/** Resolves when Postfix has delivered all accepted mails. */
export async function queueIsEmpty(mailServers: MailServers): Promise<void> {
  const until = performance.now() + maxWaitMs
  while (
    ['maildrop', 'incoming', 'active', 'deferred'].some((part) =>
      hasFiles(join(mailServers.folder, 'queue', part)),
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
