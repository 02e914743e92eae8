// Which mails of a POP3 maildrop are not ours, by their unique IDs, so that their headers are read once and not after
// each start. Kept in a file where there is one; losing it costs time, never a mail.

import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { messageOf } from '../../base/problem.ts'

/** Lines of up to 71 bytes; larger files are not ours. */
const mostFileBytes = 16 * 1024 * 1024

type UidlCacheOptions = {
  /** Null: kept until the program ends. */
  readonly file: string | null
  /** What the IDs belong to, in one word: account and filter. Those of another key are forgotten. */
  readonly key: string
  readonly notice: (line: string) => void
}

export class UidlCache {
  readonly #options: UidlCacheOptions
  /** At most those of one listing and what was noted since. */
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

  /** Forgets all that are not in the maildrop any more. */
  keepOnly(present: ReadonlySet<string>): void {
    for (const uid of this.#foreign) {
      if (present.has(uid)) continue
      this.#foreign.delete(uid)
      this.#saved = false
    }
  }

  /** Writes the file anew if anything changed; whoever reads sees the old one or the new one, whole. */
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
      notice(
        `${file} cannot be written, so all mails are looked at again after a restart: ${messageOf(error)}.`,
      )
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
    // The last line is empty; one cut short by a full disk is too short to matter: it is no ID of the listing.
    this.#foreign = new Set(uids.filter((uid) => /^[!-~]{1,100}$/.test(uid)))
  }

  #head(key: string): string {
    return `peerpost mails that are not ours ${key}`
  }
}
