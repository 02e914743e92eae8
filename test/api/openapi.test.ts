// The control API as OpenAPI and docs/control-api.md name the routes that are served, and the documents are valid.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Validator } from '@seriousme/openapi-schema-validator'
import { agentRoutes } from '../../src/api/agent-routes.ts'
import { hostRoutes } from '../../src/api/host-routes.ts'
import { apiKinds, describedRoutes, openApiDocument } from '../../src/api/openapi-documents.ts'
import type { Route } from '../../src/api/route.ts'
import type { AgentControl } from '../../src/daemon/agent-control.ts'
import type { HostControl } from '../../src/daemon/host-control.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'
import { ApiClient } from './api-client.ts'

const text = readFileSync('docs/control-api.md', 'utf8')

type Operation = { readonly operationId?: string; readonly summary: string; readonly responses: object }
type Document = { readonly openapi: string; readonly paths: Record<string, Record<string, Operation>> }

const documentOf = (kind: (typeof apiKinds)[number]) =>
  JSON.parse(JSON.stringify(openApiDocument(kind))) as Document

function operationsOf(document: Document): readonly (readonly [name: string, operation: Operation])[] {
  return Object.entries(document.paths).flatMap(([path, operations]) =>
    Object.entries(operations).map(
      ([method, operation]) => [`${method.toUpperCase()} ${path}`, operation] as const,
    ),
  )
}

const nameOf = ({ method, path }: Route) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`

test('every route of an agent or a host is named in the tables of docs/control-api.md, and no other', () => {
  const served = new Set([...apiKinds.flatMap((kind) => describedRoutes[kind].map(nameOf))])
  for (const name of [...served, 'GET /v1/events', 'GET /v1/openapi.json', 'GET /']) {
    assert.ok(text.includes(`| \`${name}\` |`), name)
    served.add(name)
  }
  for (const [, name = ''] of text.matchAll(/^\| `((?:GET|POST|PUT|DELETE) [^`]+)` \|/gm))
    assert.ok(served.has(name), name)
})

for (const kind of apiKinds) {
  test(`the OpenAPI document of the ${kind} is valid`, async () => {
    const validator = new Validator()
    const { valid, errors } = await validator.validate(documentOf(kind))
    assert.ok(valid, JSON.stringify(errors))
    assert.equal(validator.version, '3.1')
  })

  test(`the document of the ${kind} describes every route once, with an answer, a summary and an operationId`, () => {
    const operations = operationsOf(documentOf(kind))
    assert.deepEqual(
      operations.map(([name]) => name).sort(),
      [...describedRoutes[kind].map(nameOf), 'GET /v1/events'].sort(),
    )
    for (const [name, { operationId, summary, responses }] of operations) {
      assert.match(operationId ?? '', /^[a-z]+[A-Z][A-Za-z]+$/, name)
      assert.ok(summary.endsWith('.') || summary.includes(':'), name)
      assert.ok('200' in responses, name)
    }
    const ids = operations.map(([, { operationId }]) => operationId)
    assert.equal(new Set(ids).size, ids.length, ids.join())
  })

  test(`all references in the document of the ${kind} lead somewhere`, () => {
    const document = documentOf(kind)
    const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)]
    assert.ok(references.length > 0)
    for (const [, reference = ''] of references) {
      let target: unknown = document
      for (const part of reference.split('/'))
        target = (target as Record<string, unknown> | undefined)?.[part]
      assert.ok(target !== undefined, reference)
    }
  })

  test(`\`peerpost control openapi ${kind}\` prints what the ${kind} serves to those with a token`, async () => {
    const routes = kind === 'agent' ? agentRoutes({} as AgentControl) : hostRoutes({} as HostControl)
    const client = new ApiClient(new VirtualClock(), routes)
    assert.equal((await client.raw('GET', '/v1/openapi.json', { authorization: '' })).status, 401)
    const served = await (await client.raw('GET', '/v1/openapi.json')).json()
    assert.deepEqual(JSON.parse(printed(kind)), served)
  })
}

test('`peerpost control openapi` means the agent', () => {
  assert.equal(printed(), printed('agent'))
})

test('the same operation has the same operationId in both documents', () => {
  const host = new Map(operationsOf(documentOf('host')))
  for (const [name, { operationId }] of operationsOf(documentOf('agent'))) {
    const other = host.get(name)
    if (other) assert.equal(other.operationId, operationId, name)
  }
})

function printed(...kind: readonly string[]): string {
  const args = ['src/cli/main.ts', 'control', 'openapi', ...kind]
  const { status, stdout, stderr } = spawnSync(process.execPath, args, { encoding: 'utf8' })
  assert.equal(status, 0, stderr)
  return stdout
}
