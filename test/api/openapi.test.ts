// Checks that docs/control-api.md describes the routes as they are.

import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { VirtualClock } from '../harness/virtual-clock.ts'
import { ApiClient } from './api-client.ts'
import { blocksOf, documentFile, routes, wantedBlocks } from './openapi-document.ts'

const text = readFileSync(documentFile, 'utf8')

test('the OpenAPI documents are the same as those from the routes', () => {
  assert.deepEqual(
    blocksOf(text),
    wantedBlocks(),
    'run `npx node test/api/openapi-document.ts` after changing a route',
  )
})

test('every route of an agent or a host is in the tables of the document', () => {
  for (const { method, path } of [...routes.agent, ...routes.host]) {
    const shown = path.replace(/:(\w+)/g, '{$1}')
    assert.ok(text.includes(`| \`${method} ${shown}\` |`), `${method} ${shown}`)
  }
  assert.ok(text.includes('| `GET /v1/events` |'))
})

test('all references resolve, and every operation has an answer and a summary', () => {
  const [agent = ''] = blocksOf(text)
  const api = JSON.parse(agent)
  for (const [, reference = ''] of agent.matchAll(/"\$ref": "#\/([^"]+)"/g)) {
    const target = reference.split('/').reduce((at: Record<string, never>, part) => at?.[part] ?? {}, api)
    assert.ok(Object.keys(target).length > 0, reference)
  }
  for (const [path, operations] of Object.entries<Record<string, { summary: string; responses: object }>>(
    api.paths,
  )) {
    for (const [method, { summary, responses }] of Object.entries(operations)) {
      assert.ok(summary.endsWith('.') || summary.includes(':'), `${method} ${path}`)
      assert.ok('200' in responses)
    }
  }
})

test('the OpenAPI document is served, and needs a token', async () => {
  const client = new ApiClient(new VirtualClock(), [])
  assert.equal((await client.raw('GET', '/v1/openapi.json', { authorization: '' })).status, 401)
  const served = (await (await client.raw('GET', '/v1/openapi.json')).json()) as { openapi: string }
  assert.equal(served.openapi, '3.1.0')
})
