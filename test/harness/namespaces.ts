// A small Internet of network namespaces: a backbone, LANs behind kernel NATs (nftables), and hosts in them.
//
//     backbone 198.18.0.0/24 (RFC 2544) ── NAT router ── LAN 10.0.N.0/24 ── hosts
//     backbone 2a10:50::/64 ───────────── firewall ───── LAN 2a10:50:0:N::/64     with `ipv6`
//
// Names contain our process ID, so that parallel runs do not collide and leftovers of killed runs are found.

import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'

const prefix = 'ppt'
let internets = 0

export type Lan = {
  /** Network namespace of the router; its devices are `wan` and `lan`. */
  readonly router: string
  /** The router's address in the LAN. */
  readonly routerAddress: string
  /** The address that the backbone sees. */
  readonly publicAddress: string
  /** The provider gives the router another address; all its mappings are lost. */
  changePublicAddress(address: string): void
  /** Moves a host with its cable from another LAN to this one. */
  adopt(netns: string): void
  /** Adds a host to the LAN; returns its network namespace. */
  addHost(): string
}

export type Internet = {
  /** Namespace for servers; it has both `serverAddresses`. */
  readonly backbone: string
  readonly serverAddresses: readonly [string, string]
  /**
   * A LAN behind a typical home router: it masquerades and drops unexpected packets. `how` follows nftables'
   * `masquerade` for UDP, such as `fully-random` or `to :40000-40255 random`. `publicAddress` replaces the next
   * address of the backbone. `howTcp`: like `how`, for TCP.
   */
  addLan(how?: string, publicAddress?: string, howTcp?: string): Lan
  /** Adds a host on the backbone, without a NAT; returns its namespace and address. */
  addPublicHost(): { readonly netns: string; readonly address: string }
  close(): void
}

export type InternetOptions = {
  /** The first three numbers of the backbone's IPv4 addresses. */
  readonly network?: string
  /** Every LAN also has IPv6, without a NAT, behind a firewall that accepts only answers. */
  readonly ipv6?: boolean
}

export function makeInternet({ network = '198.18.0', ipv6 = false }: InternetOptions = {}): Internet {
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
  /** Connects `device` in `netns` to a port of the bridge in `switchNetns`. */
  const plug = (netns: string, device: string, switchNetns: string, bridge: string, port: string): void => {
    inside(switchNetns, 'link', 'add', port, 'type', 'veth', 'peer', 'name', device, 'netns', netns)
    inside(switchNetns, 'link', 'set', port, 'master', bridge, 'up')
    inside(netns, 'link', 'set', device, 'up')
  }

  try {
    const backbone = make('inet')
    const serverAddresses = [`${network}.1`, `${network}.2`] as const
    inside(backbone, 'link', 'add', 'backbone', 'type', 'bridge')
    inside(backbone, 'link', 'set', 'backbone', 'up')
    for (const address of serverAddresses) inside(backbone, 'addr', 'add', `${address}/24`, 'dev', 'backbone')
    if (ipv6) {
      addIpv6(backbone, `${ipv6Prefix}::1/64`, 'backbone')
      setKernel(backbone, 'net.ipv6.conf.all.forwarding=1')
    }

    return {
      backbone,
      serverAddresses,
      addLan(how = '', publicAddress = `${network}.${11 + lans}`, howTcp = '') {
        const lan = ++lans
        const routerAddress = `10.0.${lan}.1`
        const router = make(`nat${lan}`)
        plug(router, 'wan', backbone, 'backbone', `lan${lan}`)
        inside(router, 'addr', 'add', `${publicAddress}/24`, 'dev', 'wan')
        inside(router, 'link', 'add', 'lan', 'type', 'bridge')
        inside(router, 'addr', 'add', `${routerAddress}/24`, 'dev', 'lan')
        inside(router, 'link', 'set', 'lan', 'up')
        setKernel(router, 'net.ipv4.ip_forward=1')
        run('ip', 'netns', 'exec', router, 'nft', homeRouter(how, howTcp))
        const lanIpv6 = `${ipv6Prefix}:0:${lan}`
        if (ipv6) {
          const routerIpv6 = `${ipv6Prefix}::${10 + lan}`
          addIpv6(router, `${routerIpv6}/64`, 'wan')
          addIpv6(router, `${lanIpv6}::1/64`, 'lan')
          setKernel(router, 'net.ipv6.conf.all.forwarding=1')
          run('ip', 'netns', 'exec', router, 'nft', homeFirewall)
          inside(router, '-6', 'route', 'add', 'default', 'via', `${ipv6Prefix}::1`)
          inside(backbone, '-6', 'route', 'add', `${lanIpv6}::/64`, 'via', routerIpv6)
        }
        let hosts = 0
        let presentAddress = publicAddress
        const connectHost = (netns: string) => {
          const host = ++hosts
          plug(netns, 'eth0', router, 'lan', `host${host}`)
          inside(netns, 'addr', 'add', `10.0.${lan}.${1 + host}/24`, 'dev', 'eth0')
          inside(netns, 'route', 'add', 'default', 'via', routerAddress)
          if (ipv6) {
            addIpv6(netns, `${lanIpv6}::${1 + host}/64`, 'eth0')
            inside(netns, '-6', 'route', 'add', 'default', 'via', `${lanIpv6}::1`)
          }
        }
        return {
          router,
          routerAddress,
          publicAddress,
          // Masquerading drops the mappings of a removed address.
          changePublicAddress(address) {
            inside(router, 'addr', 'del', `${presentAddress}/24`, 'dev', 'wan')
            inside(router, 'addr', 'add', `${address}/24`, 'dev', 'wan')
            presentAddress = address
          },
          adopt(netns) {
            inside(netns, 'link', 'del', 'eth0')
            connectHost(netns)
          },
          addHost() {
            const netns = make(`lan${lan}h${hosts + 1}`)
            connectHost(netns)
            return netns
          },
        }
      },
      addPublicHost() {
        const host = ++publicHosts
        const address = `${network}.${100 + host}`
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

/** Drops all UDP in this namespace, except on loopback. The returned function removes the firewall. */
export function dropUdp(netns: string): () => void {
  const nft = (script: string) => run('ip', 'netns', 'exec', netns, 'nft', script)
  const chains = ['input', 'output', 'forward'].map((hook) => {
    const device = hook === 'output' ? 'oifname' : 'iifname'
    return `chain ${hook} {\n type filter hook ${hook} priority -10\n ${device} != "lo" meta l4proto udp drop\n }`
  })
  nft(`table inet noudp {\n${chains.join('\n')}\n}`)
  return () => nft('delete table inet noudp')
}

/** The prefix of a command that runs in a namespace. */
export function within(netns: string): readonly string[] {
  return ['ip', 'netns', 'exec', netns]
}

/** A public prefix according to `addressScope`, which nobody uses here. */
const ipv6Prefix = '2a10:50'

const homeFirewall = `
table ip6 home {
  chain forward {
    type filter hook forward priority filter; policy drop;
    ct state established,related accept; iifname "lan" accept;
  }
}`

/** Without the input chain, a peer's early packet would occupy the port that our own mapping needs. */
function homeRouter(how: string, howTcp: string): string {
  return `
table ip home {
  chain outbound {
    type nat hook postrouting priority srcnat
    oifname "wan" meta l4proto udp masquerade ${how}
    oifname "wan" meta l4proto tcp masquerade ${howTcp}
    oifname "wan" masquerade
  }
  chain inbound { type filter hook input priority filter; iifname "wan" ct state new drop; }
}`
}

/** Without duplicate address detection, so that it is usable at once. */
function addIpv6(netns: string, address: string, device: string): void {
  inside(netns, '-6', 'addr', 'add', address, 'dev', device, 'nodad')
}

function setKernel(netns: string, setting: string): void {
  run('ip', 'netns', 'exec', netns, 'sysctl', '-qw', setting)
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

/** Deleting a namespace deletes its devices. Its processes must have ended. */
function removeAll(netns: readonly string[]): void {
  for (const name of [...netns].reverse()) spawnSync('ip', ['netns', 'delete', name])
}

/** Removes namespaces of ended test processes, and kills what still runs in them. */
function removeLeftovers(): void {
  const folder = '/run/netns'
  if (!existsSync(folder)) return
  const dead = readdirSync(folder).filter((name) => {
    const owner = new RegExp(`^${prefix}-([0-9]+)-`).exec(name)?.[1]
    return owner !== undefined && !existsSync(`/proc/${owner}`)
  })
  for (const name of dead) {
    const { stdout } = spawnSync('ip', ['netns', 'pids', name], { encoding: 'utf8' })
    for (const id of stdout.split('\n').filter(Boolean)) {
      try {
        process.kill(Number(id), 'SIGKILL')
      } catch {
        // The process has ended meanwhile.
      }
    }
  }
  removeAll(dead)
}
