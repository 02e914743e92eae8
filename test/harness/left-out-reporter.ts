// A test reporter that says at the very end which tests were left out and why; silent when none was.

import type { TestEvent } from 'node:test/reporters'

export async function* leftOut(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  const byReason = new Map<string, string[]>()
  for await (const { type, data } of source) {
    if (type !== 'test:pass' || data.skip === undefined || data.skip === false) continue
    const reason = typeof data.skip === 'string' ? data.skip : 'no reason given'
    byReason.set(reason, [...(byReason.get(reason) ?? []), data.name])
  }
  for (const [reason, names] of byReason) {
    yield `\nLeft out, because ${reason}:\n${names.map((name) => `  - ${name}\n`).join('')}`
  }
}

// The test runner takes a reporter module's default export.
// biome-ignore lint/style/noDefaultExport: see above
export default leftOut
