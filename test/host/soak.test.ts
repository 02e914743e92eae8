import assert from 'node:assert/strict'
import { test } from 'node:test'
import { lacks } from '../harness/needs.ts'
import { soak } from '../harness/soak.ts'

const seed = Number(process.env.PEERPOST_TEST_SEED ?? 20261124)

test(`while lines break and the host is killed every request gets exactly one reply (seed ${seed})`, {
  skip: lacks('postfix', 'dovecot'),
  timeout: 180_000,
}, async () => {
  const report = await soak({ durationMs: 15_000, seed })
  assert.ok(report.requests > 50, String(report.requests))
  assert.ok(Object.keys(report.faults).length > 0)
  assert.deepEqual([report.unanswered, report.doubled, report.leftInMailbox], [0, 0, 0])
})
