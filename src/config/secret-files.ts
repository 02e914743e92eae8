// Keys and passwords in files of their own, readable by their owner only.

import { chmodSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { base32nopad } from '@scure/base'
import { messageOf, Problem } from '../base/problem.ts'

/** One line of text: a password, an invite. */
const mostBytes = 64 * 1024

/** Writes a new file of mode 0600. An existing file is never overwritten: it may be the only copy of a key. */
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
      'Mend the folder or its permissions.',
    )
  }
}

/** Writes the file with mode 0600, over one that is there: whoever reads sees the old line or the new one, whole. */
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
      'Mend the folder or its permissions.',
    )
  }
}

/** The line in a secret file. Refuses a file that others on the machine may read. */
export function readSecret(file: string, what: string, remedyIfMissing?: string): string {
  let text: string
  try {
    const { mode, size } = statSync(file)
    if (size > mostBytes) throw new Error('it is too large')
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
        : 'Mend the file or its permissions.',
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

/** 32 random bytes as a key file holds them. */
export function seedText(seed: Uint8Array): string {
  return base32nopad.encode(seed).toLowerCase()
}

export function readSeed(file: string, what: string): Uint8Array {
  const text = readSecret(file, what)
  try {
    const seed = base32nopad.decode(text.trim().toUpperCase())
    if (seed.length === 32) return seed
  } catch {
    // Falls through to the one message below.
  }
  throw new Problem(
    'file',
    `${file} does not hold a key: ${what.toLowerCase()}.`,
    'Restore it from a backup.',
  )
}
