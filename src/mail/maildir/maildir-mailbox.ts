// A Maildir as a Mailbox, for a host on the mail server itself and for the test mail server. File watching of the
// system misses changes on network drives and under load, so the folder is also polled.

import { type FSWatcher, watch } from 'node:fs'
import { access, constants, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import type { Clock } from '../../base/clock.ts'
import { fairOrder } from '../../base/fair-order.ts'
import { messageOf, Problem } from '../../base/problem.ts'
import { isOurs, mayBeReport } from '../letter-mail-filter.ts'
import type { FetchedMail, Mailbox, MailboxHandlers, MailFilter } from '../mailbox.ts'
import { parseHeader } from '../mime/parse-mail.ts'
import { listMaildir, type MaildirEntry, maildirChange, type OpenedMail, withMail } from './maildir-folder.ts'

type MaildirMailboxOptions = {
  readonly clock: Clock
  /** Between two polls of the folder; default 2 s. */
  readonly pollMs?: number
  /** Gets a line that a person should read, once. */
  readonly notice?: (line: string) => void
}

/** Stored names of foreign mails. Beyond this the oldest are dropped, and their headers are read again. */
const foreignLimit = 20_000

export class MaildirMailbox implements Mailbox {
  #handlers: MailboxHandlers = {}
  readonly #folder: string
  readonly #filter: MailFilter
  readonly #clock: Clock
  readonly #pollMs: number
  readonly #notice: (line: string) => void
  readonly #foreign = new Set<string>()
  #state: 'new' | 'open' | 'closed' = 'new'
  #connected = false
  #change = 0
  #watcher: FSWatcher | null = null
  #cancelPoll: () => void = () => undefined
  #unreadableNoticed = false

  constructor(folder: string, filter: MailFilter, options: MaildirMailboxOptions) {
    this.#folder = folder
    this.#filter = filter
    this.#clock = options.clock
    this.#pollMs = options.pollMs ?? 2_000
    this.#notice = options.notice ?? (() => undefined)
  }

  async open(handlers: MailboxHandlers = {}): Promise<void> {
    if (this.#state !== 'new')
      throw new Problem('internal', 'A mailbox was opened twice.', 'Please report this.')
    this.#state = 'open'
    this.#handlers = handlers
    try {
      for (const subfolder of ['new', 'cur']) {
        await access(join(this.#folder, subfolder), constants.R_OK | constants.W_OK | constants.X_OK)
      }
      this.#change = await maildirChange(this.#folder)
    } catch (error) {
      this.#state = 'closed'
      throw folderProblem(this.#folder, error)
    }
    this.#connect()
  }

  async close(): Promise<void> {
    this.#state = 'closed'
    this.#cancelPoll()
    this.#watcher?.close()
    this.#watcher = null
  }

  async fetch(limit: number, except: ReadonlySet<string> = new Set()): Promise<readonly FetchedMail[]> {
    const mails: FetchedMail[] = []
    const oldestFirst = (await this.#list()).filter(
      ({ base }) => !this.#foreign.has(base) && !except.has(base),
    )
    for (const entry of fairOrder(oldestFirst, this.#handlers.mayTakeNewest)) {
      if (mails.length >= limit) break
      const mail = await this.#read(entry)
      if (mail) mails.push(mail)
    }
    return mails
  }

  async #read({ base, path }: MaildirEntry): Promise<FetchedMail | null> {
    try {
      return await withMail(path, async (mail) => {
        if (!(await this.#isOurs(mail))) {
          this.#noteForeign(base)
          return null
        }
        const { sizeBytes, whole } = mail
        return { ref: base, raw: sizeBytes <= this.#filter.maxBytes ? await whole() : null, sizeBytes }
      })
    } catch (error) {
      // An unreadable file must not delay the letters after it.
      this.#noteForeign(base)
      if (!this.#unreadableNoticed)
        this.#notice(`${path} cannot be read and is ignored: ${messageOf(error)}.`)
      this.#unreadableNoticed = true
      return null
    }
  }

  async #isOurs({ start, sizeBytes, whole }: OpenedMail): Promise<boolean> {
    const header = await parseHeader(start)
    if (isOurs(header, this.#filter)) return true
    if (!this.#handlers.isOurReport || sizeBytes > this.#filter.maxBytes) return false
    return mayBeReport(header, this.#filter) && this.#handlers.isOurReport(await whole())
  }

  #noteForeign(base: string): void {
    if (this.#foreign.size >= foreignLimit) {
      const [oldest] = this.#foreign
      if (oldest !== undefined) this.#foreign.delete(oldest)
    }
    this.#foreign.add(base)
  }

  async remove(refs: readonly string[]): Promise<void> {
    if (refs.length === 0) return
    const wanted = new Set(refs)
    for (const { base, path } of await this.#list()) {
      if (!wanted.has(base)) continue
      await unlink(path).catch((error: unknown) => {
        if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw folderProblem(this.#folder, error)
      })
    }
  }

  async #list(): Promise<MaildirEntry[]> {
    if (this.#state !== 'open')
      throw new Problem('file', `The Maildir ${this.#folder} is not open.`, 'Open it.')
    try {
      return await listMaildir(this.#folder)
    } catch (error) {
      throw folderProblem(this.#folder, error)
    }
  }

  #connect(): void {
    this.#connected = true
    this.#startWatching()
    this.#pollLater()
    this.#handlers.onState?.({ state: 'connected' })
    this.#handlers.onWake?.()
  }

  #startWatching(): void {
    this.#watcher?.close()
    this.#watcher = null
    try {
      this.#watcher = watch(join(this.#folder, 'new'), { persistent: false }, () => {
        if (this.#state === 'open') this.#handlers.onWake?.()
      })
      this.#watcher.on('error', () => this.#watcher?.close())
    } catch {
      // Too many watches, or a file system without them. Then polling must be enough.
    }
  }

  #pollLater(): void {
    this.#cancelPoll = this.#clock.after(this.#pollMs, () => {
      this.#poll().then(
        () => this.#state === 'open' && this.#pollLater(),
        () => undefined,
      )
    })
  }

  async #poll(): Promise<void> {
    try {
      const change = await maildirChange(this.#folder)
      if (this.#state !== 'open') return
      // A mail that came in the same clock tick as the last poll does not change the time, so wake up once more.
      const isRecent = this.#clock.wallNow() - change < 2 * this.#pollMs
      const changed = change !== this.#change || isRecent
      this.#change = change
      if (!this.#connected) {
        this.#connected = true
        this.#startWatching()
        this.#handlers.onState?.({ state: 'connected' })
        this.#handlers.onWake?.()
      } else if (changed) this.#handlers.onWake?.()
    } catch (error) {
      if (this.#state !== 'open' || !this.#connected) return
      this.#connected = false
      const reason = folderProblem(this.#folder, error).message
      this.#handlers.onState?.({ state: 'disconnected', reason, retryInMs: this.#pollMs })
    }
  }
}

function folderProblem(folder: string, error: unknown): Problem {
  const { code } = error as NodeJS.ErrnoException
  const cause = { cause: error }
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    const remedy = 'Use the folder that contains new/, cur/ and tmp/, or let the mail server create it first.'
    return new Problem('file', `There is no Maildir at ${folder}.`, remedy, cause)
  }
  if (code === 'EACCES' || code === 'EPERM' || code === 'EROFS') {
    const remedy = 'Run as the owner of the mail, or give this user the permission to read and delete there.'
    return new Problem(
      'file',
      `The Maildir ${folder} cannot be read and changed by this user.`,
      remedy,
      cause,
    )
  }
  return new Problem(
    'file',
    `The Maildir ${folder} cannot be used: ${messageOf(error)}.`,
    'Check the disk.',
    cause,
  )
}
