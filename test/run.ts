// Runs the tests. Plain: the fast ones, which need nothing but Node. With --all: installs the Debian packages the tests
// need and runs everything; a part that is missing then is a failure. With patterns: the files that fit, whatever they
// need.

import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'
import { reportSkipped } from './harness/skipped-tests-reporter.ts'
import { v8Flags } from './harness/v8-flags.ts'

/** Files wait for timers and processes: one a core left two cores idle for over a third of a full run. */
const filesPerCore = 2
/** More at a time would be more mail servers and browsers than a computer has memory for. */
const mostFiles = 8

const all = process.argv.includes('--all')
const patterns = process.argv.slice(2).filter((argument) => !argument.startsWith('--'))

/** Whether it runs what people run (`test/e2e/`) or names what it needs of the machine (`lacks(…)`). */
function isSlow(file: string): boolean {
  return file.startsWith(join('test', 'e2e', '')) || /\blacks/.test(readFileSync(file, 'utf8'))
}

/** The longest time that it gives to a test. */
function longestMs(file: string): number {
  const given = readFileSync(file, 'utf8').matchAll(/\btimeout(?::| =) ([\d_]+)/g)
  return Math.max(0, ...[...given].map(([, ms = '']) => Number(ms.replaceAll('_', ''))))
}

if (all) {
  const installed = spawnSync('bash', ['test/install-debian-packages.sh'], { stdio: 'inherit' })
  if (installed.status !== 0) process.exit(installed.status ?? 1)
  process.env.TEST_ALL_PARTS = '1'
}
// Every file, and every program a test starts, is a process that would have to strip and compile the same code again.
process.env.NODE_COMPILE_CACHE ??= join(tmpdir(), 'peerpost-test-code')

const files = globSync(patterns.length > 0 ? patterns : 'test/**/*.test.ts').sort()
const [slow, fast] = [files.filter(isSlow), files.filter((file) => !isSlow(file))]
// The slow ones first, and of them what may take long, so that no long one is left to run alone at the end.
slow.sort((one, other) => longestMs(other) - longestMs(one))
const chosen = all || patterns.length > 0 ? [...slow, ...fast] : fast

const events = run({
  files: chosen,
  concurrency: Math.min(mostFiles, filesPerCore * availableParallelism()),
  execArgv: ['--conditions=peerpost-source', ...v8Flags],
})
events.on('test:fail', ({ todo }) => {
  if (todo === undefined || todo === false) process.exitCode = 1
})
for (const reporter of [new spec(), reportSkipped])
  events.compose<NodeJS.ReadableStream>(reporter).pipe(process.stdout)
events.on('end', () => {
  if (chosen === fast)
    console.log(`\nOf ${files.length} files ${slow.length} run in \`npm run test:all\` only.`)
})
