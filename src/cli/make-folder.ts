// Creates the folder of a host or an agent.

import { existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { messageOf, Problem } from '../base/problem.ts'
import { writeSecret } from '../config/secret-files.ts'

export type NewFolder = {
  readonly dir: string
  readonly configFile: string
  readonly config: string
  /** Files that are written with mode 0600. */
  readonly secrets: readonly { readonly file: string; readonly text: string }[]
}

/** Throws a Problem when any of the files exists already: it may be the only copy of a key. */
export function makeFolder({ dir, configFile, config, secrets }: NewFolder): void {
  const present = [configFile, ...secrets.map(({ file }) => file)].find((file) => existsSync(join(dir, file)))
  if (present) {
    throw new Problem(
      'file',
      `${join(dir, present)} exists already.`,
      'Choose another --dir, or move the old one away.',
    )
  }
  try {
    mkdirSync(dir, { recursive: true, mode: 0o700 })
  } catch (thrown) {
    throw new Problem(
      'file',
      `The folder ${dir} cannot be made: ${messageOf(thrown)}.`,
      'Choose another --dir.',
    )
  }
  for (const { file, text } of secrets) writeSecret(join(dir, file), text)
  // The config is written last. If it exists, all files that it names exist too.
  try {
    writeFileSync(join(dir, configFile), config, { mode: 0o600, flag: 'wx' })
  } catch (thrown) {
    throw new Problem(
      'file',
      `${join(dir, configFile)} cannot be written: ${messageOf(thrown)}.`,
      'Choose another --dir.',
    )
  }
}
