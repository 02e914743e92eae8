// Which Node will do. Read before anything else is loaded, so it must itself be understood by old ones.

import { Problem } from './problem.ts'

/** better-sqlite3's binary asks for it; on a Node without, opening a database ends in a segmentation fault. It came
 *  with Node 22.14 and 23.6: `engines` of package.json says so. */
const wantedNodeApi = 10

export function nodeVersionProblem(versions: NodeJS.ProcessVersions): Problem | null {
  if (Number(versions.napi) >= wantedNodeApi) return null
  return new Problem(
    'node-version',
    `Node ${versions.node} is too old.`,
    'Install Node 22.14 or newer (of Node 23, 23.6 or newer).',
  )
}
