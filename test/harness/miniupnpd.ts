// A router that opens ports on request: miniupnpd, which many home routers use, on one of the test's routers.

import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Lan, within } from './namespaces.ts'
import { findProgram } from './needs.ts'
import { ServerOutput } from './server-output.ts'

export type MiniupnpdOptions = {
  /** Enables PCP and NAT-PMP. */
  readonly pcp?: boolean
  /** Enables UPnP; `1` is the older version, which most routers have. */
  readonly upnp?: false | 1 | 2
}

export type Miniupnpd = {
  /** The ports that are open now. */
  openPorts(): number[]
  /** Resolves when its output has so many matches of `pattern`; rejects when it ends before. */
  says(pattern: RegExp, times?: number): Promise<void>
  stop(): Promise<void>
}

/**
 * Since 2.3.5 (Debian 13) PCP leases are at least two minutes, as RFC 6887 §15 advises. For tests that cannot
 * wait so long, the router changes this lifetime to four seconds in answers (§7.1, §7.2: version, opcode,
 * lifetime).
 */
const shortPcpLeases =
  'chain output { type filter hook output priority mangle; udp sport 5351 @th,64,16 0x0281 @th,96,32 120 @th,96,32 set 4; }'

/** The test creates the chains; miniupnpd changes only the `…miniupnpd` ones. */
const chains = `
table inet upnp {
  chain forward { type filter hook forward priority filter; jump miniupnpd; }
  chain prerouting { type nat hook prerouting priority dstnat; jump prerouting_miniupnpd; }
  chain postrouting { type nat hook postrouting priority srcnat - 10; jump postrouting_miniupnpd; }
  chain miniupnpd {}
  chain prerouting_miniupnpd {}
  chain postrouting_miniupnpd {}
  ${shortPcpLeases}
}`

export async function startMiniupnpd(
  { router, routerAddress }: Lan,
  { pcp = true, upnp = 2 }: MiniupnpdOptions = {},
): Promise<Miniupnpd> {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-miniupnpd-'))
  const config = join(folder, 'miniupnpd.conf')
  writeFileSync(
    config,
    [
      'ext_ifname=wan',
      'listening_ip=lan',
      'port=0',
      `enable_natpmp=${pcp ? 'yes' : 'no'}`,
      `enable_upnp=${upnp ? 'yes' : 'no'}`,
      'secure_mode=yes',
      'min_lifetime=2',
      'max_lifetime=86400',
      'uuid=6d3c1b2a-0000-4000-8000-00000000abcd',
      'upnp_table_name=upnp',
      'upnp_nat_table_name=upnp',
      'upnp_forward_chain=miniupnpd',
      'upnp_nat_chain=prerouting_miniupnpd',
      'upnp_nat_postrouting_chain=postrouting_miniupnpd',
      `allow 1024-65535 ${routerAddress}/24 1024-65535`,
      'deny 0-65535 0.0.0.0/0 0-65535',
      '',
    ].join('\n'),
  )
  // The router may have had an earlier instance.
  spawnSync('ip', ['netns', 'exec', router, 'nft', 'delete table inet upnp'])
  const [ip = '', ...args] = within(router)
  const made = spawnSync(ip, [...args, 'nft', chains], { encoding: 'utf8' })
  if (made.status !== 0) throw new Error(made.stderr)

  const program = findProgram('miniupnpd') ?? 'miniupnpd'
  const options = ['-d', '-f', config, '-P', join(folder, 'pid'), ...(upnp === 1 ? ['-1'] : [])]
  const child = spawn(ip, [...args, program, ...options], { stdio: ['ignore', 'pipe', 'pipe'] })
  const output = new ServerOutput('miniupnpd', child)
  const stop = async () => {
    child.kill('SIGTERM')
    await output.ended
    rmSync(folder, { recursive: true, force: true })
  }
  try {
    await output.says(pcp ? /Listening for NAT-PMP/ : /HTTP listening on port/)
  } catch (thrown) {
    await stop()
    throw thrown
  }
  return {
    says: (pattern, times) => output.says(pattern, times),
    stop,
    openPorts() {
      const list = ['nft', 'list', 'chain', 'inet', 'upnp', 'prerouting_miniupnpd']
      const { stdout } = spawnSync(ip, [...args, ...list], { encoding: 'utf8' })
      return [...stdout.matchAll(/dport (\d+) dnat/g)].map((match) => Number(match[1]))
    },
  }
}
