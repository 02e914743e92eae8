// A world of real parts: Postfix, Dovecot and coturn on a backbone, a host, and agents in network namespaces.

import { existsSync } from 'node:fs'
import type { TestContext } from 'node:test'
import type { ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { startMailServers } from '../harness/mail-servers.ts'
import { type InternetOptions, makeInternet, within } from '../harness/namespaces.ts'
import { lacks } from '../harness/needs.ts'
import { startStunServer } from '../harness/stun-server.ts'
import { mailAt, TestDeployment } from '../harness/test-deployment.ts'

export const lacksOfWorld = lacks('postfix', 'dovecot', 'turnserver', 'nft', 'network namespaces')

/** One world: backbone with mail and STUN, a running host, and the invite to its room. `overTcp`: STUN, too. */
export async function makeWorld(
  context: TestContext,
  { overTcp = false, ...options }: InternetOptions & { readonly overTcp?: boolean } = {},
) {
  const defer = deferIn(context)
  const internet = makeInternet(options)
  defer(() => internet.close())
  const { backbone, serverAddresses } = internet
  const [mailServers, stun] = await Promise.all([
    startMailServers({ listen: serverAddresses[0], netns: backbone }),
    startStunServer({ addresses: serverAddresses, port: 3478, prefix: within(backbone), overTcp }),
  ])
  defer(() => mailServers.stop())
  defer(() => stun.stop())

  const deployment = await TestDeployment.open(defer, { mailOf: mailAt(mailServers), stun: stun.servers })
  await deployment.makeHost('host')
  const host = deployment.startHost('host', [], { prefix: within(backbone) })
  await host.waitFor('ready')

  return {
    internet,
    host,
    defer,
    /** Sets the agent up when it is new, and runs it. */
    async makeAgent(name: string, netns: string, ...options: string[]): Promise<PeerpostProcess> {
      if (!existsSync(deployment.agentConfig(name))) await deployment.makeAgent(name)
      return deployment.startAgent(name, options, { prefix: within(netns) })
    },
  }
}

export type Connected = ChildEvent & {
  readonly path: { readonly kind: string; readonly protocol: string; readonly remote: string }
  readonly sinceRequestMs: number
  readonly sincePunchMs: number
  readonly packets: number
}
