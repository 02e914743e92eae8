// Checks that a text is valid for Prometheus: text exposition format 0.0.4, and its rules for names.

import assert from 'node:assert/strict'

export function assertExposition(text: string): void {
  const names = new Set<string>()
  let declared = ''
  for (const line of text.split('\n').slice(0, -1)) {
    const [, type, name = ''] = /^# (HELP|TYPE) ([a-z_]+) /.exec(line) ?? []
    if (type === 'HELP') {
      assert.ok(!names.has(name), `${name} comes twice`)
      names.add(name)
      declared = name
      continue
    }
    if (type === 'TYPE') {
      const isCounter = line.endsWith(' counter')
      assert.ok(isCounter || line.endsWith(' gauge'), line)
      assert.equal(name.endsWith('_total'), isCounter, line)
      continue
    }
    assert.match(
      line,
      /^[a-z_]+(\{[a-z]+="(\\.|[^"\\])*"(,[a-z]+="(\\.|[^"\\])*")*\})? (NaN|[+-]Inf|[-+e.\d]+)$/,
    )
    assert.equal(line.split(/[{ ]/)[0], declared)
  }
}
