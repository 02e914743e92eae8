// The benchmark runs on small tables. Durations are not checked.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { benchTable } from './table.ts'

test('the table benchmark measures every size and shape and reports what it compared', async () => {
  const idleWait = { wait: async () => {} }
  const report = await benchTable(idleWait, { sizes: [100, 200], requests: 10 })
  assert.equal(report.bench, 'table')
  assert.ok(report.ratio > 0)
  assert.equal(typeof report.pass, 'boolean')
  for (const shape of ['manyRooms', 'oneRoom']) {
    assert.ok(Number(report.baseline[`${shape} 100 p50Ms`]) > 0, shape)
    assert.ok(Number(report.measured[`${shape} 200 p50Ms`]) > 0, shape)
  }
})
