// The host's database, and the disk it is on.

import { statfsSync } from 'node:fs'
import { dirname } from 'node:path'
import type { DatabaseLocation } from '../../store/host-database.ts'
import { inspectHostDatabase } from '../../store/inspect-database.ts'
import { inspectPostgres, locationName, type PostgresLocation } from '../../store/postgres-database.ts'
import { sizeWords } from '../../wording/numbers-text.ts'
import { type Finding, fault, faultOf, ok, warning } from './findings.ts'

export function checkDatabase(place: DatabaseLocation): Finding {
  if (typeof place !== 'string') return examinePostgres(place)
  const path = place
  try {
    const found = inspectHostDatabase(path)
    if (found.state === 'absent') return ok('database', `There is no ${path} yet; the host makes it.`)
    if (found.state === 'in-use') {
      return ok('database', `${path} is in use; the host checked it when it started.`)
    }
    const age =
      found.version < found.ownVersion
        ? `of version ${found.version}, which the host will bring to ${found.ownVersion}`
        : `of version ${found.version}`
    return ok('database', `${path} is whole, ${age}, ${sizeWords(found.sizeBytes)}.`)
  } catch (thrown) {
    return faultOf('database', thrown)
  }
}

function examinePostgres(place: PostgresLocation): Finding {
  const name = locationName(place.url)
  try {
    const { version, ownVersion, sizeBytes } = inspectPostgres(place)
    if (version === null) return ok('database', `${name} answers and has no tables yet; the host makes them.`)
    const age = version < ownVersion ? `${version}, which the host will bring to ${ownVersion}` : `${version}`
    return ok('database', `${name} answers, its tables are of version ${age}, ${sizeWords(sizeBytes)}.`)
  } catch (thrown) {
    return faultOf('database', thrown)
  }
}

/** Less is a fault: SQLite needs room to commit, the log of a daemon fills it within hours. */
const leastBytes = 16_000_000
const scarceBytes = 256_000_000

/** Where daemons write: the folder of the config, or of the database. */
export function checkDisk(file: string): Finding {
  try {
    const { bavail, bsize } = statfsSync(dirname(file))
    const free = bavail * bsize
    const words = `${sizeWords(free)} free on the disk of ${dirname(file)}.`
    const remedy = 'Make room: nothing can be stored on a full disk, and a host takes no letters then.'
    if (free < leastBytes) return fault('disk', words, remedy)
    return free < scarceBytes ? warning('disk', words, remedy) : ok('disk', words)
  } catch (thrown) {
    return faultOf('disk', thrown)
  }
}
