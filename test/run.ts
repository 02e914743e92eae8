// Runs the tests. Plain: whatever this machine can run, and says what it leaves out. With --all: installs
// the Debian packages the tests need, and a part that is missing then is a failure.

import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'

const all = process.argv.includes('--all')
const patterns = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))

if (all) {
  const installed = spawnSync('bash', ['test/install-debian-packages.sh'], { stdio: 'inherit' })
  if (installed.status !== 0) process.exit(installed.status ?? 1)
}

const files = globSync(patterns.length > 0 ? patterns : 'test/**/*.test.ts').sort()
const reporters = ['spec', './test/harness/left-out-reporter.ts'].flatMap((reporter) => [
  `--test-reporter=${reporter}`,
  '--test-reporter-destination=stdout',
])
const run = spawnSync(
  process.execPath,
  ['--conditions=peerpost-source', '--test', '--test-concurrency=2', ...reporters, ...files],
  {
    stdio: 'inherit',
    env: { ...process.env, ...(all ? { TEST_ALL_PARTS: '1' } : {}) },
  },
)
process.exit(run.status ?? 1)
