// `peerpost backup`: copies the database of a host, also while the host runs.

import { resolve } from 'node:path'
import { Problem } from '../base/problem.ts'
import { loadHostConfig } from '../config/load-config.ts'
import { backUpDatabase } from '../store/backup.ts'
import { sizeWords } from '../wording/numbers-text.ts'

export async function backUp(target: string, options: { readonly config: string }): Promise<void> {
  const { config, path } = loadHostConfig(options.config, process.env)
  if (config.table.url !== undefined) {
    throw new Problem(
      'usage',
      "This host's table is in PostgreSQL, which has its own program for backups.",
      'Use `pg_dump --schema=peerpost`.',
    )
  }
  const size = await backUpDatabase(path(config.table.path), resolve(target))
  process.stdout.write(`${target}: ${sizeWords(size)}. Keys, secrets and config are not in it.\n`)
}
