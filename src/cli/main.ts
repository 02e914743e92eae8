#!/usr/bin/env node
// The first file of the program. On an old Node it prints what is needed, instead of crashing.

import { setFlagsFromString } from 'node:v8'
import { nodeVersionProblem } from '../base/node-version.ts'

const problem = nodeVersionProblem(process.versions)

if (problem) {
  process.stderr.write(`peerpost: ${problem.line} In a checkout, use npm run peerpost.\n`)
  process.exitCode = 1
} else {
  // By default V8 gives the young generation ten times what host or agent need, and lets the old generation grow to a
  // multiple of what is in use. Both save only a few percent of time.
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--heap-growing-percent=25')
  // A parallel collection of the young generation waits until other threads get a processor. Packets of games would wait too.
  setFlagsFromString('--no-parallel-scavenge')
  const { run } = await import('./program.ts')
  const exitCode = await run(process.argv.slice(2))
  // The exit code is set already when standard output could not be written.
  process.exitCode ||= exitCode
}
