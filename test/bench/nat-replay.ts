// Repeats runs of the nat benchmark and prints their outcome: `npx node test/bench/nat-replay.ts 'JSON'`, with
// the `circumstances` of an example in the benchmark's JSON line.

import { type Circumstances, runPair } from '../harness/simulator/pair-run.ts'

for (const text of process.argv.slice(2)) {
  const circumstances = JSON.parse(text) as Circumstances
  process.stdout.write(`${JSON.stringify({ circumstances, outcome: runPair(circumstances) }, null, 2)}\n`)
}
