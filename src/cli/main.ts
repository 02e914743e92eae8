#!/usr/bin/env node
// The program's first file: whatever Node runs it, it says what is needed instead of crashing.

import { setFlagsFromString } from 'node:v8'
import { nodeVersionProblem } from '../base/node-version.ts'

const problem = nodeVersionProblem(process.versions)

if (problem) {
  process.stderr.write(`peerpost: ${problem.line} In a checkout, use npm run peerpost.\n`)
  process.exitCode = 1
} else {
  // Left to itself V8 gives the young generation ten times what host or agent need, and lets the old one grow to a
  // multiple of what is in use, to save a few percent of time.
  setFlagsFromString('--semi-space-growth-factor=1')
  setFlagsFromString('--heap-growing-percent=25')
  // With helpers, the young generation's collector waits for other threads to get a processor, and games wait with it.
  setFlagsFromString('--no-parallel-scavenge')
  const { run } = await import('./program.ts')
  const exitCode = await run(process.argv.slice(2))
  // It may say already that the output could not be written.
  process.exitCode ||= exitCode
}
