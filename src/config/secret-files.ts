// Keys and passwords. Each is in its own file that only its owner may read.

import { chmodSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { base32nopad } from '@scure/base'
import { messageOf, Problem } from '../base/problem.ts'

/** Secrets are one line of text, such as a password or an invite. */
const maxBytes = 64 * 1024

/** Writes a new file with mode 0600. It never overwrites a file, which may be the only copy of a key. */
export function writeSecret(file: string, text: string): void {
  try {
    writeFileSync(file, `${text}\n`, { mode: 0o600, flag: 'wx' })
    chmodSync(file, 0o600)
  } catch (thrown) {
    if ((thrown as NodeJS.ErrnoException).code === 'EEXIST') {
      throw new Problem(
        'file',
        `${file} exists already.`,
        'Choose another folder, or move the old file away.',
      )
    }
    throw new Problem(
      'file',
      `${file} cannot be written: ${messageOf(thrown)}.`,
      'Check the folder and its permissions.',
    )
  }
}

/** Writes the file with mode 0600 and replaces an existing one. A reader sees the old or the new line, never a part. */
export function replaceSecret(file: string, text: string): void {
  const fresh = `${file}.${process.pid}.new`
  try {
    rmSync(fresh, { force: true })
    writeFileSync(fresh, `${text}\n`, { mode: 0o600, flag: 'wx', flush: true })
    chmodSync(fresh, 0o600)
    renameSync(fresh, file)
  } catch (thrown) {
    rmSync(fresh, { force: true })
    throw new Problem(
      'file',
      `${file} cannot be written: ${messageOf(thrown)}.`,
      'Check the folder and its permissions.',
    )
  }
}

/** Returns the line in a secret file. Throws a Problem when other users may read the file. */
export function readSecret(file: string, what: string, remedyIfMissing?: string): string {
  let text: string
  try {
    const { mode, size } = statSync(file)
    if (size > maxBytes) throw new Error('it is too large')
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw new Problem('file', `${what} in ${file} can be read by others.`, `Run \`chmod 600 ${file}\`.`)
    }
    text = readFileSync(file, 'utf8')
  } catch (thrown) {
    if (thrown instanceof Problem) throw thrown
    const missing = (thrown as NodeJS.ErrnoException).code === 'ENOENT'
    throw new Problem(
      'file',
      missing
        ? `${what} is missing: there is no file ${file}.`
        : `${what} in ${file} cannot be read: ${messageOf(thrown)}.`,
      missing
        ? (remedyIfMissing ?? 'Restore it from a backup, or run `peerpost init` for a new folder.')
        : 'Check the file and its permissions.',
    )
  }
  const line = text.replace(/\r?\n$/, '')
  if (line === '' || /[\r\n]/.test(line)) {
    throw new Problem(
      'file',
      `${file} should hold one line: ${what.toLowerCase()}.`,
      'Restore it from a backup.',
    )
  }
  return line
}

/** The text of a key file, in base32. */
export function seedText(seed: Uint8Array): string {
  return base32nopad.encode(seed).toLowerCase()
}

export function readSeed(file: string, what: string): Uint8Array {
  const text = readSecret(file, what)
  try {
    const seed = base32nopad.decode(text.trim().toUpperCase())
    if (seed.length === 32) return seed
  } catch {
    // Not base32: the message below says so.
  }
  throw new Problem(
    'file',
    `${file} does not hold a key: ${what.toLowerCase()}.`,
    'Restore it from a backup.',
  )
}
