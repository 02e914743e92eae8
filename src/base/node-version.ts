// Checks the version of Node. It is loaded before everything else, so an old Node must be able to read it.

import { Problem } from './problem.ts'

/** The Node-API version that the binary of better-sqlite3 needs. Without it, opening a database ends in a segmentation
 *  fault. Node 22.14 and 23.6 are the first with it; `engines` in package.json says the same. */
const wantedNodeApi = 10

export function nodeVersionProblem(versions: NodeJS.ProcessVersions): Problem | null {
  if (Number(versions.napi) >= wantedNodeApi) return null
  return new Problem(
    'node-version',
    `Node ${versions.node} is too old.`,
    'Install Node 22.14 or newer (of Node 23, 23.6 or newer).',
  )
}
