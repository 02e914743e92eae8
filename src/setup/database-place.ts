// Where a host's config says that its table is.

import type { Loaded } from '../config/load.ts'
import type { HostConfig } from '../config/schema.ts'
import { readSecret } from '../config/secrets.ts'
import type { DatabasePlace } from '../table/database.ts'

export function databasePlace({ config, path }: Loaded<HostConfig>): DatabasePlace {
  const { url, password_file: file } = config.table
  if (url === undefined) return path(config.table.path)
  return {
    url,
    ...(file !== undefined && { password: readSecret(path(file), 'The password of PostgreSQL') }),
  }
}
