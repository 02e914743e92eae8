// docs/control-api.md ends with two OpenAPI documents, one for agents and one for hosts. Running this file writes them
// again from the routes.

import { readFileSync, writeFileSync } from 'node:fs'
import { AccessTokens } from '../../src/api/access-tokens.ts'
import { agentRoutes } from '../../src/api/agent-routes.ts'
import { hostRoutes } from '../../src/api/host-routes.ts'
import { describeApi } from '../../src/api/openapi.ts'
import { sessionRoutes } from '../../src/api/page-login-routes.ts'
import type { Route } from '../../src/api/route.ts'
import type { AgentControl } from '../../src/daemon/agent-control.ts'
import type { HostControl } from '../../src/daemon/host-control.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

export const documentFile = 'docs/control-api.md'
const width = 150

function routesOf(service: readonly Route[]): readonly Route[] {
  const access = new AccessTokens({
    clock: new VirtualClock(),
    randomBytes: (length) => new Uint8Array(length),
  })
  return [...service, ...sessionRoutes(access, () => ({ address: '127.0.0.1', port: 1 }))]
}

/** Only to be described: their handlers cannot be called. */
export const routes = {
  agent: routesOf(agentRoutes({} as AgentControl)),
  host: routesOf(hostRoutes({} as HostControl)),
} as const

/** Without the components, which are the same as the agent's. */
export function describeHost(): object {
  const { components: _, ...rest } = describeApi(routes.host) as { readonly components: object }
  return rest
}

export function blocksOf(text: string): readonly string[] {
  return [...text.matchAll(/^```json\n([\s\S]*?)^```$/gm)].map(([, block = '']) => block)
}

export function wantedBlocks(): readonly string[] {
  return [describeApi(routes.agent), describeHost()].map((api) => `${compact(api)}\n`)
}

/** JSON in which every value that fits on one line is on one line. */
function compact(value: unknown, indent = ''): string {
  const line = JSON.stringify(value, null, 1)
    .replace(/\n\s*/g, ' ')
    .replace(/\[ | \]/g, (bracket) => bracket.trim())
  if (indent.length + line.length <= width || typeof value !== 'object' || value === null) return line
  const inner = `${indent}  `
  const [open, close, parts] = Array.isArray(value)
    ? ['[', ']', value.map((item) => compact(item, inner))]
    : [
        '{',
        '}',
        Object.entries(value).map(([key, item]) => `${JSON.stringify(key)}: ${compact(item, inner)}`),
      ]
  return `${open}\n${parts.map((part) => inner + part).join(',\n')}\n${indent}${close}`
}

if (import.meta.main) {
  const wanted = [...wantedBlocks()]
  const text = readFileSync(documentFile, 'utf8')
  writeFileSync(
    documentFile,
    text.replace(/^```json\n[\s\S]*?^```$/gm, () => `\`\`\`json\n${wanted.shift()}\`\`\``),
  )
}
