// Where a host's config says that its table is.

import type { HostConfig } from '../config/config-schema.ts'
import type { Loaded } from '../config/load-config.ts'
import { readSecret } from '../config/secret-files.ts'
import type { DatabaseLocation } from '../store/host-database.ts'

export function databasePlace({ config, path }: Loaded<HostConfig>): DatabaseLocation {
  const { url, password_file: file } = config.table
  if (url === undefined) return path(config.table.path)
  return {
    url,
    ...(file !== undefined && { password: readSecret(path(file), 'The password of PostgreSQL') }),
  }
}
