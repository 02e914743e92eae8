// A Maildir that a test delivers into.

import { mkdirSync, readdirSync, readFileSync, renameSync, unlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

export class TestMaildir {
  readonly path: string
  #next = 0

  constructor(path: string) {
    this.path = path
    for (const part of ['', 'tmp', 'new', 'cur']) mkdirSync(join(path, part))
  }

  get url(): string {
    return `maildir:${this.path}`
  }

  /** Whole at once, as deliveries are; latin1, so that a character is a byte. */
  deliver(mail: string): void {
    const name = `${1_700_000_000 + this.#next++}.M1P1.test`
    writeFileSync(join(this.path, 'tmp', name), mail, 'latin1')
    renameSync(join(this.path, 'tmp', name), join(this.path, 'new', name))
  }

  /** Paths of the mails that are there. */
  get mails(): string[] {
    return ['new', 'cur'].flatMap((part) =>
      readdirSync(join(this.path, part)).map((name) => join(this.path, part, name)),
    )
  }

  /** Null when it is gone. */
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
