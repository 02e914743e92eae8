// Remembers the unique IDs of foreign mails in a POP3 maildrop, so that their headers are read only once. It can be
// kept in a file. If it is lost, that costs time but no mail.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { messageOf } from '../../base/problem.ts'

/** A line has up to 71 bytes. A larger file is not ours. */
const mostFileBytes = 16 * 1024 * 1024

type UidlCacheOptions = {
  /** Null: no file, so the IDs are kept only until the program ends. */
  readonly file: string | null
  /** Account and filter of the IDs, as one word. A file with another key is ignored. */
  readonly key: string
  readonly notice: (line: string) => void
}

export class UidlCache {
  readonly #options: UidlCacheOptions
  /** At most the IDs of one list, and those added since. */
  #foreign = new Set<string>()
  #saved = true

  constructor(options: UidlCacheOptions) {
    this.#options = options
    const { file } = options
    if (file !== null) this.#read(file)
  }

  has(uid: string): boolean {
    return this.#foreign.has(uid)
  }

  noteForeign(uid: string): void {
    if (this.#foreign.has(uid)) return
    this.#foreign.add(uid)
    this.#saved = false
  }

  /** Deletes the IDs of mails that are not in the maildrop any more. */
  keepOnly(present: ReadonlySet<string>): void {
    for (const uid of this.#foreign) {
      if (present.has(uid)) continue
      this.#foreign.delete(uid)
      this.#saved = false
    }
  }

  /** Replaces the file if anything changed. A reader always sees a complete file. */
  save(): void {
    const { file, key, notice } = this.#options
    if (this.#saved || file === null) return
    this.#saved = true
    const fresh = `${file}.${process.pid}.new`
    try {
      writeFileSync(fresh, `${[this.#head(key), ...this.#foreign].join('\n')}\n`, { mode: 0o600 })
      renameSync(fresh, file)
    } catch (error) {
      rmSync(fresh, { force: true })
      notice(`${file} cannot be written, so all headers are read again after a restart: ${messageOf(error)}.`)
    }
  }

  #read(file: string): void {
    let text: string
    try {
      text = readFileSync(file, 'latin1')
    } catch {
      return
    }
    if (text.length > mostFileBytes) return
    const [head, ...uids] = text.split('\n')
    if (head !== this.#head(this.#options.key)) return
    // The last line is empty. If a full disk truncated an ID, it matches no mail and does no harm.
    this.#foreign = new Set(uids.filter((uid) => /^[!-~]{1,100}$/.test(uid)))
  }

  #head(key: string): string {
    return `peerpost mails that are not ours ${key}`
  }
}
