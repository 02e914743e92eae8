// A small Internet of network namespaces: one backbone, LANs behind kernel NATs (nftables), hosts in them.
//
//     backbone 198.18.0.0/24 (RFC 2544) ── NAT router ── LAN 10.0.N.0/24 ── hosts
//
// Names carry our process ID, so that runs in parallel never meet and leftovers of killed runs are found.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'

const prefix = 'ppt'
let internets = 0

export type Lan = {
  /** Network namespace of the router. */
  readonly router: string
  /** What the backbone sees. */
  readonly publicAddress: string
  /** Adds a host to the LAN; returns its network namespace. */
  addHost(): string
}

export type Internet = {
  /** Namespace for servers; has every address of `serverAddresses`. */
  readonly backbone: string
  readonly serverAddresses: readonly [string, string]
  /**
   * A LAN whose router does what home routers do: masquerade, and drop what nobody asked for. `how` goes on after
   * nftables' `masquerade` for UDP, such as `fully-random` or `to :40000-40255 random`.
   */
  addLan(how?: string): Lan
  /** A host on the backbone itself, without a NAT; returns its namespace and address. */
  addPublicHost(): { readonly netns: string; readonly address: string }
  close(): void
}

export function makeInternet(): Internet {
  removeLeftovers()
  const id = `${prefix}-${process.pid}-${internets++}`
  const made: string[] = []
  let lans = 0
  let publicHosts = 0

  const make = (name: string): string => {
    const netns = `${id}-${name}`
    ip('netns', 'add', netns)
    made.push(netns)
    inside(netns, 'link', 'set', 'lo', 'up')
    return netns
  }
  /** A cable from `device` in `netns` to a port of the bridge in `switchNetns`. */
  const plug = (netns: string, device: string, switchNetns: string, bridge: string, port: string): void => {
    inside(switchNetns, 'link', 'add', port, 'type', 'veth', 'peer', 'name', device, 'netns', netns)
    inside(switchNetns, 'link', 'set', port, 'master', bridge, 'up')
    inside(netns, 'link', 'set', device, 'up')
  }

  try {
    const backbone = make('inet')
    const serverAddresses = ['198.18.0.1', '198.18.0.2'] as const
    inside(backbone, 'link', 'add', 'backbone', 'type', 'bridge')
    inside(backbone, 'link', 'set', 'backbone', 'up')
    for (const address of serverAddresses) inside(backbone, 'addr', 'add', `${address}/24`, 'dev', 'backbone')

    return {
      backbone,
      serverAddresses,
      addLan(how = '') {
        const lan = ++lans
        const publicAddress = `198.18.0.${10 + lan}`
        const router = make(`nat${lan}`)
        plug(router, 'wan', backbone, 'backbone', `lan${lan}`)
        inside(router, 'addr', 'add', `${publicAddress}/24`, 'dev', 'wan')
        inside(router, 'link', 'add', 'lan', 'type', 'bridge')
        inside(router, 'addr', 'add', `10.0.${lan}.1/24`, 'dev', 'lan')
        inside(router, 'link', 'set', 'lan', 'up')
        run('ip', 'netns', 'exec', router, 'sysctl', '-qw', 'net.ipv4.ip_forward=1')
        run('ip', 'netns', 'exec', router, 'nft', homeRouter(how))
        let hosts = 0
        return {
          router,
          publicAddress,
          addHost() {
            const host = ++hosts
            const netns = make(`lan${lan}h${host}`)
            plug(netns, 'eth0', router, 'lan', `host${host}`)
            inside(netns, 'addr', 'add', `10.0.${lan}.${1 + host}/24`, 'dev', 'eth0')
            inside(netns, 'route', 'add', 'default', 'via', `10.0.${lan}.1`)
            return netns
          },
        }
      },
      addPublicHost() {
        const host = ++publicHosts
        const address = `198.18.0.${100 + host}`
        const netns = make(`pub${host}`)
        plug(netns, 'eth0', backbone, 'backbone', `pub${host}`)
        inside(netns, 'addr', 'add', `${address}/24`, 'dev', 'eth0')
        return { netns, address }
      },
      close: () => removeAll(made),
    }
  } catch (thrown) {
    removeAll(made)
    throw thrown
  }
}

/** The command that runs another in a namespace. */
export function within(netns: string): readonly string[] {
  return ['ip', 'netns', 'exec', netns]
}

/** Without the input chain, a peer's early packet would take the very port our own mapping needs. */
function homeRouter(how: string): string {
  return `
table ip home {
  chain outbound {
    type nat hook postrouting priority srcnat
    oifname "wan" meta l4proto udp masquerade ${how}
    oifname "wan" masquerade
  }
  chain inbound { type filter hook input priority filter; iifname "wan" ct state new drop; }
}`
}

function inside(netns: string, ...args: readonly string[]): void {
  ip('-n', netns, ...args)
}

function ip(...args: readonly string[]): void {
  run('ip', ...args)
}

function run(command: string, ...args: readonly string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' })
  if (status !== 0) throw error ?? new Error(`${command} ${args.join(' ')}: ${stderr.trim()}`)
}

/** Deleting a namespace takes its devices with it; processes in it must have ended. */
function removeAll(netns: readonly string[]): void {
  for (const name of [...netns].reverse()) spawnSync('ip', ['netns', 'delete', name])
}

/** Namespaces of test processes that are no more. */
function removeLeftovers(): void {
  const folder = '/run/netns'
  if (!existsSync(folder)) return
  const dead = readdirSync(folder).filter((name) => {
    const owner = new RegExp(`^${prefix}-([0-9]+)-`).exec(name)?.[1]
    return owner !== undefined && !existsSync(`/proc/${owner}`)
  })
  removeAll(dead)
}
