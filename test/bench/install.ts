// The first commands with every pair of npm and Node that counts. The suite tries some of the pairs only.

import { spawnSync } from 'node:child_process'
import type { Report } from './report.ts'

export function benchInstall(): Report {
  const run = spawnSync(process.execPath, ['test/run.ts', 'test/e2e/install.test.ts'], {
    env: { ...process.env, PEERPOST_TEST_INSTALLS: 'all', TEST_ALL_PARTS: '1' },
    encoding: 'utf8',
  })
  process.stderr.write(run.stdout + run.stderr)
  const count = (name: string) => Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(run.stdout)?.[1] ?? 0)
  const [passed, failed] = [count('pass'), count('fail')]
  return {
    bench: 'install',
    ratio: passed / Math.max(1, passed + failed),
    target: 'all installations work',
    pass: run.status === 0 && passed > 0,
    baseline: {},
    measured: { passed, failed },
    inputs: {},
  }
}
