// Lists the mails of a Maildir and reads them. Other users may write there, so no file is trusted.

import { constants } from 'node:fs'
import { type FileHandle, open, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { headerEnd, headerLimitBytes } from '../mime/parse-mail.ts'

export type MaildirEntry = {
  /** The name without flags. It stays the same when a reader moves the mail from new/ to cur/. */
  readonly base: string
  readonly path: string
}

/** All mails that are not marked as deleted (flag T), oldest first. */
export async function listMaildir(folder: string): Promise<MaildirEntry[]> {
  const entries: MaildirEntry[] = []
  for (const subfolder of ['new', 'cur']) {
    for (const name of await readdir(join(folder, subfolder))) {
      const [base = '', info = ''] = name.split(':2,')
      if (base === '' || base.startsWith('.') || info.includes('T')) continue
      entries.push({ base, path: join(folder, subfolder, name) })
    }
  }
  return entries.sort((a, b) => compareAge(a.base, b.base))
}

/** Names begin with Unix seconds. Modern delivery agents add M and microseconds. Otherwise the names decide. */
function compareAge(a: string, b: string): number {
  return seconds(a) - seconds(b) || micros(a) - micros(b) || (a < b ? -1 : a > b ? 1 : 0)
}

function seconds(base: string): number {
  return Number(/^(\d{1,12})\./.exec(base)?.[1] ?? 0)
}

function micros(base: string): number {
  return Number(/^\d+\.(?:[A-Z][^M.]*)?M(\d{1,6})/.exec(base)?.[1] ?? 0)
}

/** A time that changes whenever a mail comes or goes. */
export async function maildirChange(folder: string): Promise<number> {
  const [fresh, current] = await Promise.all([stat(join(folder, 'new')), stat(join(folder, 'cur'))])
  return Math.max(fresh.mtimeMs, current.mtimeMs)
}

export type OpenedMail = {
  readonly sizeBytes: number
  /** The start of the mail, at least to the end of the header or to `headerLimitBytes`. */
  readonly start: Uint8Array
  /** The whole mail, at most `sizeBytes`. */
  whole(): Promise<Uint8Array>
}

/** Opens a mail while `use` runs. Null if it is gone or is not a regular file. */
export async function withMail<T>(path: string, use: (mail: OpenedMail) => Promise<T>): Promise<T | null> {
  // A symbolic link must not be followed, and a pipe must not block.
  const flags = constants.O_RDONLY | (constants.O_NOFOLLOW ?? 0) | (constants.O_NONBLOCK ?? 0)
  let file: FileHandle
  try {
    file = await open(path, flags)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ELOOP') return null
    throw error
  }
  try {
    const stats = await file.stat()
    if (!stats.isFile()) return null
    const start = await readHeader(file, stats.size)
    return await use({ sizeBytes: stats.size, start, whole: () => readUpTo(file, stats.size) })
  } finally {
    await file.close()
  }
}

async function readHeader(file: FileHandle, size: number): Promise<Uint8Array> {
  for (let length = 4_096; ; length *= 4) {
    const start = await readUpTo(file, Math.min(length, size, headerLimitBytes))
    const isEnough = length >= size || length >= headerLimitBytes
    if (isEnough || (headerEnd(start) ?? start.length) < start.length) return start
  }
}

async function readUpTo(file: FileHandle, length: number): Promise<Uint8Array> {
  const bytes = new Uint8Array(length)
  let filled = 0
  while (filled < length) {
    const { bytesRead } = await file.read(bytes, filled, length - filled, filled)
    if (bytesRead === 0) break
    filled += bytesRead
  }
  return bytes.subarray(0, filled)
}
