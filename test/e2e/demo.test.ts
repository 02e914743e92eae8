// The README's first command, as a newcomer runs it (dependencies are installed already).

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, test } from 'node:test'

/** Its own, because other tests run a demo meanwhile. */
const folder = mkdtempSync(join(tmpdir(), 'peerpost-e2e-demo-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function demo(...args: string[]) {
  const run = spawnSync('npm', ['run', '-s', 'demo', ...(args.length > 0 ? ['--', ...args] : [])], {
    encoding: 'utf8',
    timeout: 120_000,
    env: { ...process.env, TMPDIR: folder },
  })
  return { code: run.status, out: run.stdout, err: run.stderr }
}

const leftovers = () => readdirSync(folder).filter((name) => name.startsWith('peerpost-demo-'))

test('npm run demo connects two agents, passes a datagram each way, ends well and leaves nothing', () => {
  const { code, out, err } = demo()
  assert.equal(code, 0, err)
  assert.match(out, /Connected with anna/)
  assert.match(out, /anna's game got "hello anna"/)
  assert.match(out, /ben's game got "hello ben"/)
  assert.match(out, /It works\./)
  assert.deepEqual(leftovers(), [])
})

test('npm run demo -- --json tells every event as a line of JSON', () => {
  const { code, out, err } = demo('--json')
  assert.equal(code, 0, err)
  const events = out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as { event: string; who?: string; at: string; ok?: boolean })
  for (const { at } of events) assert.ok(!Number.isNaN(Date.parse(at)))
  const seen = new Set(events.map(({ who, event }) => `${who ?? ''} ${event}`))
  for (const wanted of [
    ...['host ready', 'host letter', 'host sent', 'host mailbox'],
    ...['anna ready', 'anna nat', 'anna requested', 'anna replied', 'anna introduced', 'anna punching'],
    ...['anna connected', 'ben connected', 'anna disconnected', ' demo'],
  ]) {
    assert.ok(seen.has(wanted), `${wanted} among ${[...seen].join(', ')}`)
  }
  assert.equal(events.at(-1)?.ok, true)
})
