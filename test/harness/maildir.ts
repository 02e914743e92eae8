// A Maildir into which a test delivers mails.

import { mkdirSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export class TestMaildir {
  readonly path: string
  #next = 0

  constructor(path: string) {
    this.path = path
    for (const subfolder of ['', 'tmp', 'new', 'cur']) mkdirSync(join(path, subfolder))
  }

  get url(): string {
    return `maildir:${this.path}`
  }

  /** Delivers atomically. latin1, so that a character is a byte. */
  deliver(mail: string): void {
    const name = `${1_700_000_000 + this.#next++}.M1P1.test`
    writeFileSync(join(this.path, 'tmp', name), mail, 'latin1')
    renameSync(join(this.path, 'tmp', name), join(this.path, 'new', name))
  }

  /** Paths of all mails. */
  get mails(): string[] {
    return ['new', 'cur'].flatMap((subfolder) =>
      readdirSync(join(this.path, subfolder)).map((name) => join(this.path, subfolder, name)),
    )
  }

  /** Null when it was removed. */
  read(path: string): Uint8Array | null {
    return unlessGone(() => readFileSync(path))
  }

  remove(path: string): void {
    unlessGone(() => unlinkSync(path))
  }
}

function unlessGone<T>(work: () => T): T | null {
  try {
    return work()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null
    throw error
  }
}
