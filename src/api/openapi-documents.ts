// The OpenAPI documents of an agent and of a host, as their running APIs serve them, made without a daemon.

import type { AgentControl } from '../daemon/agent-control.ts'
import type { HostControl } from '../daemon/host-control.ts'
import type { AccessTokens } from './access-tokens.ts'
import { agentRoutes } from './agent-routes.ts'
import { hostRoutes } from './host-routes.ts'
import { describeApi } from './openapi.ts'
import { sessionRoutes } from './page-login-routes.ts'
import type { Route } from './route.ts'

export const apiKinds = ['agent', 'host'] as const
export type ApiKind = (typeof apiKinds)[number]

/** Only to be described: whoever serves one of them has a daemon in place of nothing. */
export const describedRoutes: Readonly<Record<ApiKind, readonly Route[]>> = {
  agent: withPageLogin(agentRoutes({} as AgentControl)),
  host: withPageLogin(hostRoutes({} as HostControl)),
}

export function openApiDocument(kind: ApiKind): object {
  return describeApi(describedRoutes[kind])
}

function withPageLogin(routes: readonly Route[]): readonly Route[] {
  return [...routes, ...sessionRoutes({} as AccessTokens, () => ({ address: '127.0.0.1', port: 0 }))]
}
