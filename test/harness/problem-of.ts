// Returns the Problem that the work fails with, and checks that it is one line without a password.

import assert from 'node:assert/strict'
import { Problem } from '../../src/base/problem.ts'

export async function problemOf(work: () => Promise<unknown>): Promise<Problem> {
  const error = await work().then(
    () => assert.fail('nothing was wrong'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof Problem, String(error))
  assert.ok(!error.line.includes('hunter2'), error.line)
  assert.match(error.line, /^[^\n]{30,500}$/)
  return error
}
