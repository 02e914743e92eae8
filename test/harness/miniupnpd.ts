// A router that opens ports when it is asked to: miniupnpd, as it is in many home routers, on a router of ours.

import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type Lan, within } from './namespaces.ts'
import { findProgram } from './needs.ts'
import { ServerOutput } from './server-output.ts'

export type MiniupnpdOptions = {
  /** PCP and NAT-PMP. */
  readonly pcp?: boolean
  /** UPnP; `1` for the older form, which most routers have. */
  readonly upnp?: false | 1 | 2
}

export type Miniupnpd = {
  /** Ports it leads into the LAN now. */
  openPorts(): number[]
  /** Resolves when what it says of its work has so many matches of `pattern`; rejects when it ends before. */
  says(pattern: RegExp, times?: number): Promise<void>
  stop(): Promise<void>
}

/** From 2.3.5 on (Debian 13) no PCP lease is shorter than two minutes, as RFC 6887 §15 advises. Where a test cannot wait
 *  that long, such an answer says four seconds when it leaves the router (§7.1, §7.2: version, opcode, lifetime). */
const shortPcpLeases =
  'chain output { type filter hook output priority mangle; udp sport 5351 @th,64,16 0x0281 @th,96,32 120 @th,96,32 set 4; }'

/** The chains are ours to make; only what is in the `…miniupnpd` ones is its. */
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
  // It is started anew in a router that had one before.
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
