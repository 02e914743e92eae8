import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'

test('every test that docs/security.md names is there', () => {
  const rows = [
    ...readFileSync('docs/security.md', 'utf8').matchAll(/^\| [^|]+ \| ([^|]+) \| `(test\/[^`]+)` \|$/gm),
  ]
  assert.ok(rows.length >= 20)
  for (const [, name = '', file = ''] of rows) {
    assert.ok(readFileSync(file, 'utf8').includes(name), `${file}: ${name}`)
  }
})
