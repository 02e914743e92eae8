// A world of real parts: Postfix, Dovecot and coturn on a backbone, a host, and agents in network namespaces.

import { existsSync } from 'node:fs'
import type { TestContext } from 'node:test'
import type { ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { type InternetOptions, makeInternet, within } from '../harness/namespaces.ts'
import { lacks } from '../harness/needs.ts'
import { startPostOffice } from '../harness/post-office.ts'
import { startStunServer } from '../harness/stun-server.ts'
import { mailAt, Town } from '../harness/town.ts'

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
  const [office, stun] = await Promise.all([
    startPostOffice({ listen: serverAddresses[0], netns: backbone }),
    startStunServer({ addresses: serverAddresses, port: 3478, prefix: within(backbone), overTcp }),
  ])
  defer(() => office.stop())
  defer(() => stun.stop())

  const town = await Town.open(defer, { mailOf: mailAt(office), stun: stun.servers })
  await town.makeHost('host')
  const host = town.startHost('host', [], { prefix: within(backbone) })
  await host.waitFor('ready')

  return {
    internet,
    host,
    defer,
    /** Sets the agent up when it is new, and runs it. */
    async makeAgent(name: string, netns: string, ...options: string[]): Promise<PeerpostProcess> {
      if (!existsSync(town.agentConfig(name))) await town.makeAgent(name)
      return town.startAgent(name, options, { prefix: within(netns) })
    },
  }
}

export type Connected = ChildEvent & {
  readonly path: { readonly kind: string; readonly protocol: string; readonly remote: string }
  readonly sinceRequestMs: number
  readonly sincePunchMs: number
  readonly packets: number
}
