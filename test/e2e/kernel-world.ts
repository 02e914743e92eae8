// A world of real parts: Postfix, Dovecot and coturn on a backbone, a host, and agents in network namespaces.

import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { type ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { type InternetOptions, makeInternet, within } from '../harness/namespaces.ts'
import { lacks } from '../harness/needs.ts'
import { startPostOffice } from '../harness/post-office.ts'
import { startStunServer } from '../harness/stun-server.ts'

export const lacksOfWorld = lacks('postfix', 'dovecot', 'turnserver', 'nft', 'network namespaces')

/** One world: backbone with mail and STUN, a running host, and the invite to its room. `overTcp`: STUN, too. */
export async function makeWorld(
  context: TestContext,
  { overTcp = false, ...options }: InternetOptions & { readonly overTcp?: boolean } = {},
) {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-e2e-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  const internet = makeInternet(options)
  defer(() => internet.close())
  const { backbone, serverAddresses } = internet
  const [office, stun] = await Promise.all([
    startPostOffice({ listen: serverAddresses[0], netns: backbone }),
    startStunServer({ addresses: serverAddresses, port: 3478, prefix: within(backbone), overTcp }),
  ])
  defer(() => office.stop())
  defer(() => stun.stop())

  const mail = (user: string) => [
    ...['--address', office.address(user), '--receive', office.imapUrl(user), '--send', office.smtpUrl(user)],
    '--yes',
  ]
  const hostConfig = join(folder, 'host', 'host.toml')
  await PeerpostProcess.run('init host', [
    ...['init', 'host', '--dir', join(folder, 'host'), ...mail('host')],
    ...stun.servers.flatMap((server) => ['--stun', server]),
  ])
  const host = new PeerpostProcess(
    'host',
    ['host', '--config', hostConfig, '--json'],
    undefined,
    within(backbone),
  )
  defer(() => host.stop(5_000))
  const invite = await PeerpostProcess.run('invite', ['invite', '--config', hostConfig])
  await host.waitFor('ready')

  return {
    internet,
    host,
    defer,
    /** Sets the agent up when it is new, and runs it. */
    async makeAgent(name: string, netns: string, ...options: string[]): Promise<PeerpostProcess> {
      const dir = join(folder, name)
      if (!existsSync(dir)) {
        const init = ['init', 'agent', '--dir', dir, '--invite', invite, '--name', name, ...mail(name)]
        await PeerpostProcess.run('init agent', init)
      }
      const args = ['agent', '--config', join(dir, 'agent.toml'), '--json', ...options]
      const agent = new PeerpostProcess(name, args, undefined, within(netns))
      defer(() => agent.stop(5_000))
      return agent
    },
  }
}

export type Connected = ChildEvent & {
  readonly path: { readonly kind: string; readonly protocol: string; readonly remote: string }
  readonly sinceRequestMs: number
  readonly sincePunchMs: number
  readonly packets: number
}
