// Imported before everything else, so that an old Node gives a clear error instead of crashing later.

import { nodeVersionProblem } from '../base/node-version.ts'

const problem = nodeVersionProblem(process.versions)
if (problem) throw problem
