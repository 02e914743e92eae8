// Imported first of all, so that an old Node says what it lacks instead of crashing later.

import { nodeVersionProblem } from '../base/node-version.ts'

const problem = nodeVersionProblem(process.versions)
if (problem) throw problem
