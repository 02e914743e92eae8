// `peerpost nat` behind NATs of the Linux kernel, with coturn on two addresses, beside what coturn's own tool says.

import assert from 'node:assert/strict'
import { execFile, spawnSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { isDeepStrictEqual, promisify } from 'node:util'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { type Internet, makeInternet, within } from '../harness/namespaces.ts'
import { findProgram, lacks } from '../harness/needs.ts'
import { type StunServer, startStunServer } from '../harness/stun-server.ts'

const skip = lacks('turnserver', 'nft', 'network namespaces')
const timeout = 60_000
let internet: Internet | undefined
let stun: StunServer | undefined

before(async () => {
  if (skip) return
  internet = makeInternet()
  const { backbone, serverAddresses } = internet
  stun = await startStunServer({ addresses: serverAddresses, port: 3478, prefix: within(backbone) })
})
after(async () => {
  await stun?.stop()
  internet?.close()
})

type Expected = { readonly mapping: string; readonly filtering: string; readonly allocation: object }

/** nftables rules of the router; `PUBLIC` stands for its address, `HOST` for that of the only host behind it. */
const routers: readonly [sentence: string, outbound: string, expected: Expected][] = [
  [
    'masquerade keeps port and mapping, and lets in only who was sent to',
    'oifname "wan" masquerade',
    { mapping: 'EIM', filtering: 'APDF', allocation: { type: 'preserving' } },
  ],
  [
    'masquerade persistent is no different',
    'oifname "wan" masquerade persistent',
    { mapping: 'EIM', filtering: 'APDF', allocation: { type: 'preserving' } },
  ],
  [
    'masquerade random draws a port for each destination',
    'oifname "wan" masquerade random',
    { mapping: 'APDM', filtering: 'APDF', allocation: { type: 'random' } },
  ],
  [
    'masquerade fully-random too',
    'oifname "wan" masquerade fully-random',
    { mapping: 'APDM', filtering: 'APDF', allocation: { type: 'random' } },
  ],
]

// All at once: nearly all the time is spent waiting for packets that must not come.
describe('behind a kernel NAT', { skip, timeout, concurrency: true }, () => {
  for (const [sentence, outbound, expected] of routers) {
    test(sentence, async (context) => {
      const { profile, nat } = await probe(context, outbound)
      assert.deepEqual(profile, expected)
      assert.equal(nat.layers, 'unknown')
    })
  }

  test('snat to a block of 256 ports at random shows the block', async (context) => {
    const { profile } = await probe(
      context,
      'oifname "wan" udp dport 0-65535 snat to PUBLIC:40000-40255 random',
    )
    assert.equal(profile.mapping, 'APDM')
    const { type, block } = profile.allocation as { type: string; block?: { first: number; last: number } }
    assert.equal(type, 'random')
    assert.ok(block && block.first >= 39_900 && block.last <= 40_400, JSON.stringify(block))
  })

  test('a router that leads all ports to one host lets everybody in', async (context) => {
    const everything = 'iifname "wan" udp dport 1024-65535 dnat to HOST'
    const { profile } = await probe(context, 'oifname "wan" masquerade', everything)
    assert.deepEqual([profile.mapping, profile.filtering], ['EIM', 'EIF'])
  })

  test('mappings that the kernel forgets after 8 s are found to live for 5 s, by RESPONSE-PORT', async () => {
    assert.ok(internet)
    const lan = internet.addLan()
    const [short, stream] = ['udp_timeout', 'udp_timeout_stream'].map(
      (name) => `net.netfilter.nf_conntrack_${name}=8`,
    )
    run(lan.router, 'sysctl', '-qw', short ?? '', stream ?? '')
    const process = start(lan.addHost(), stun?.servers, '--lifetime')
    const learned = await process.waitFor('lifetime', ({ done }) => done === true)
    assert.equal(learned.lifetimeMs, 5_000)
    assert.equal(await process.ended, 0)
  })

  test('our own address server on two addresses tells the same as coturn', async (context) => {
    assert.ok(internet)
    const { backbone, serverAddresses } = internet
    const places = [`${serverAddresses[0]}:3500`, `${serverAddresses[1]}:3501`]
    const listen = places.flatMap((place) => ['--listen', place])
    const server = new PeerpostProcess(
      'server',
      ['address-server', '--json', ...listen],
      undefined,
      within(backbone),
    )
    context.after(() => server.stop(5_000))
    await server.waitFor('ready')
    const { mapping, filtering } = await ask(internet.addLan().addHost(), places.slice(0, 1))
    assert.deepEqual([mapping, filtering], ['EIM', 'APDF'])
  })

  test('a computer on the backbone has no NAT and lets everybody in', async () => {
    assert.ok(internet)
    const { netns, address } = internet.addPublicHost()
    const nat = await ask(netns)
    assert.deepEqual([nat.mapping, nat.filtering, nat.layers], ['none', 'EIF', 'none'])
    assert.match(String(nat.public), new RegExp(`^${address}:\\d+$`))
  })
})

/** `inbound`: what is done, before anything else, with what comes from outside. */
async function probe(
  context: { diagnostic(text: string): void },
  outbound: string,
  inbound = 'iifname "wan" counter',
) {
  assert.ok(internet)
  const lan = internet.addLan()
  const netns = lan.addHost()
  const rules = `
flush ruleset
table ip kind {
  chain outbound { type nat hook postrouting priority srcnat; ${outbound.replace('PUBLIC', lan.publicAddress)}; }
  chain before { type nat hook prerouting priority dstnat; ${inbound.replace('HOST', hostAddress(netns))}; }
  chain inbound { type filter hook input priority filter; iifname "wan" ct state new drop; }
}`
  run(lan.router, 'nft', rules)
  const startedAt = performance.now()
  const nat = await ask(netns)
  context.diagnostic(`${Math.round(performance.now() - startedAt)} ms, start of the program included`)
  const ours = [nat.mapping, nat.filtering]
  // Its mistakes are lost packets, of which each run has others; what we say ourselves is held against what is known.
  let theirs: Awaited<ReturnType<typeof natDiscovery>> = null
  for (let run = 0; run < 3 && !isDeepStrictEqual(ours, theirs); run++)
    theirs = (await natDiscovery(netns)) ?? theirs
  if (theirs) assert.deepEqual(ours, theirs, 'the profile and turnutils_natdiscovery (expected)')
  else context.diagnostic('turnutils_natdiscovery lost answers three times and was not compared')
  const { mapping, filtering, allocation } = nat
  return { nat, profile: { mapping, filtering, allocation } }
}

function start(netns: string, servers = stun?.servers ?? [], ...options: readonly string[]): PeerpostProcess {
  const args = ['nat', '--json', ...options, ...servers.flatMap((server) => ['--stun', server])]
  return new PeerpostProcess('nat', args, undefined, within(netns))
}

async function ask(netns: string, servers?: readonly string[]) {
  const process = start(netns, servers)
  const event = await process.waitFor('nat')
  assert.equal(await process.ended, 0)
  return event as typeof event & Record<'mapping' | 'filtering' | 'allocation' | 'public' | 'layers', unknown>
}

/** What coturn's tool says of the same NAT. Null when it has lost an answer: it asks each question once, as no STUN client
 *  should (RFC 8489 §6.2.1), and takes silence for a NAT that is endpoint-independent. */
async function natDiscovery(netns: string): Promise<[mapping: string, filtering: string] | null> {
  const tool = findProgram('turnutils_natdiscovery')
  assert.ok(tool && internet)
  const [ip = 'ip', ...prefix] = within(netns)
  const { stdout: said } = await promisify(execFile)(ip, [
    ...[...prefix, tool, '-m', '-f'],
    internet.serverAddresses[0],
  ])
  const [ofMapping = '', ofFiltering = ''] = said.split('Filtering Behavior Discovery')
  const isWhole = / Mapping!/.test(ofMapping) && / Filtering!/.test(ofFiltering)
  if (!isWhole || /timeout/.test(ofMapping)) return null
  const words = {
    'Endpoint Independent': 'EI',
    'Address Dependent': 'AD',
    'Address and Port Dependent': 'APD',
  }
  const find = (what: string) => {
    const match = new RegExp(`NAT with (.+) ${what}!`).exec(said)
    return words[match?.[1] as keyof typeof words] ?? said
  }
  return [`${find('Mapping')}M`, `${find('Filtering')}F`]
}

function hostAddress(netns: string): string {
  const said = run(netns, 'ip', '-4', '-o', 'addr', 'show', 'dev', 'eth0')
  return /inet ([0-9.]+)\//.exec(said)?.[1] ?? assert.fail(said)
}

function run(netns: string, command: string, ...args: readonly string[]): string {
  const [ip = 'ip', ...prefix] = within(netns)
  const { status, stdout, stderr } = spawnSync(ip, [...prefix, command, ...args], { encoding: 'utf8' })
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${stderr}`)
  return stdout + stderr
}
