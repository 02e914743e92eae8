// A test reporter that lists the skipped tests and the reasons at the end; silent when there are none.

import type { TestEvent } from 'node:test/reporters'

export async function* reportSkipped(source: AsyncIterable<TestEvent>): AsyncGenerator<string> {
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

// The test runner uses a reporter module's default export.
// biome-ignore lint/style/noDefaultExport: see above
export default reportSkipped
