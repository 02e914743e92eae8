// The address server as it is run, and what coturn's clients find out with it.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { formatEndpoint, parseEndpoint } from '../../src/base/endpoint.ts'
import { type ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { TestMailServer } from '../../src/mail/test-mail-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startAddressServer } from '../../src/stun-server/stun-server.ts'
import { type Defer, deferIn } from '../harness/defer.ts'
import { makeInternet, within } from '../harness/namespaces.ts'
import { findProgram, lacks } from '../harness/needs.ts'
import { startWithAlternates } from '../stun-server/alternate-address-server.ts'

type Ready = ChildEvent & { readonly endpoints: readonly string[]; readonly behaviour: readonly string[] }

/** natdiscovery waits 3 s for an answer that a NAT keeps away, and does so twice. */
const timeout = 30_000

async function start(defer: Defer, listen: readonly string[], netns?: string) {
  const args = ['address-server', ...listen.flatMap((place) => ['--listen', place]), '--json']
  const server = new PeerpostProcess('address-server', args, undefined, netns ? within(netns) : [])
  defer(() => server.stop(5_000))
  return { server, ready: (await server.waitFor('ready')) as Ready }
}

/** What a program of coturn's prints; one that never ends by itself is ended once `enough` is there. */
function output(command: readonly string[], enough?: RegExp): Promise<string> {
  const [program = '', ...args] = command
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], timeout: timeout / 2 })
  return new Promise((resolve, reject) => {
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part
      if (enough?.test(text)) child.kill('SIGKILL')
    })
    child.on('error', reject)
    child.on('close', () => resolve(text))
  })
}

/** The port that natdiscovery's first test, of mapping, sends from in a namespace. */
const mappingPort = 40_001

/** What natdiscovery says in the end of each of its tests. */
async function discover(server: string, own: string, netns?: string): Promise<string[]> {
  // In the namespaces nobody else has any port.
  const ownPort = netns ? mappingPort : 0
  const { address, port } = parseEndpoint(server) ?? { address: '', port: 0 }
  const program = findProgram('turnutils_natdiscovery') ?? ''
  const args = ['-m', '-f', '-L', own, '-l', String(ownPort), '-p', String(port), address]
  const text = await output([...(netns ? within(netns) : []), program, ...args])
  assert.doesNotMatch(text, /ALG detected|Not received mapped|error|Cannot read/, text)
  return [...text.matchAll(/^(?:NAT with|No NAT).*$/gm)].map(([line]) => line)
}

const noNat = [
  'No NAT! (Endpoint Independent Mapping)',
  'NAT with Endpoint Independent Mapping!',
  'No NAT! (Endpoint Independent Mapping)',
  'NAT with Endpoint Independent Filtering!',
]

test('the command says what it opened, answers, counts, and ends cleanly', async (context) => {
  const { server, ready } = await start(deferIn(context), ['127.0.0.1:0', '127.0.0.1:0'])
  const { endpoints, behaviour } = ready
  assert.equal(endpoints.length, 2)
  assert.ok(endpoints.every((endpoint) => /^127\.0\.0\.1:[1-9]\d*$/.test(endpoint)))
  assert.deepEqual(behaviour, [])
  const seen = await PeerpostProcess.run('nat', ['nat', ...endpoints.flatMap((place) => ['--stun', place])])
  assert.match(seen, /127\.0\.0\.1/)
  assert.equal(await server.stop(5_000), 0)
  const served = server.events.at(-1)
  assert.equal(served?.event, 'served')
  assert.ok(Number(served?.answered) >= 2)
  assert.equal(served?.limited, 0)
  assert.equal(server.errors, '')
  assert.doesNotMatch(JSON.stringify(served), /127/, 'nobody who asked is named')
})

test('a place that cannot be had is one line with what to do', async (context) => {
  const defer = deferIn(context)
  const taken = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  defer(() => taken.close())
  const place = formatEndpoint(taken.endpoints[0] ?? { address: '', port: 0 })
  const fails = (code: number, line: RegExp, ...listen: string[]) => {
    const args = ['src/cli/main.ts', 'address-server', ...listen.flatMap((each) => ['--listen', each])]
    const run = spawnSync(process.execPath, args, { encoding: 'utf8', timeout })
    assert.match(run.stderr, line)
    assert.equal(run.stderr.trim().split('\n').length, 1, run.stderr)
    assert.equal(run.status, code)
  }
  fails(1, /Another program already uses UDP 127\.0\.0\.1:\d+\. Stop it or choose another port\./, place)
  fails(1, /no address 192\.0\.2\.77\./, '192.0.2.77:3478')
  fails(2, /"--listen localhost:3478" is not IP:PORT\. Write it like 192\.0\.2\.1:3478/, 'localhost:3478')
  fails(2, /names one address twice/, '127.0.0.1:3478', '127.0.0.1:3478')
  fails(2, /'--listen <ip:port>' not specified/)
})

test('a host runs one beside its mailbox, and says which setting is wrong when it cannot', async (context) => {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-address-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  const mailServers = new TestMailServer({
    clock: systemClock,
    folder: join(folder, 'mail'),
    domain: 'mail.test',
  })
  const port = await mailServers.start()
  defer(() => mailServers.stop())
  const maildir = await mailServers.maildirOf('meet@mail.test')
  const mail = ['--receive', `maildir:${maildir}`, '--send', `smtp://127.0.0.1:${port}`, '--yes']
  const dir = join(folder, 'host')
  await PeerpostProcess.run('init host', [
    ...['init', 'host', '--dir', dir, '--address', 'meet@mail.test', ...mail],
  ])
  const config = join(dir, 'host.toml')
  const written = readFileSync(config, 'utf8')
  const withPlace = written.replace('# listen = []', 'listen = ["127.0.0.1:0"]')
  assert.notEqual(withPlace, written)
  rmSync(config)
  appendFileSync(config, withPlace)

  const host = new PeerpostProcess('host', ['host', '--config', config, '--json'])
  defer(() => host.stop(5_000))
  const { endpoints } = (await host.waitFor('address-server')) as Ready
  await host.waitFor('ready')
  const [place = ''] = endpoints
  assert.match(await PeerpostProcess.run('nat', ['nat', '--stun', place]), /127\.0\.0\.1/)

  // The same place again, by the environment's way of saying it.
  const env = { ...process.env, PEERPOST_ADDRESS_SERVER_LISTEN: place }
  const second = spawnSync(process.execPath, ['src/cli/main.ts', 'host', '--config', config], {
    encoding: 'utf8',
    timeout,
    env,
  })
  assert.match(
    second.stderr,
    /^peerpost: The address server cannot start: Another program already uses UDP 127.* \[address_server\] listen/,
  )
  assert.equal(second.status, 1)

  assert.equal(await host.stop(8_000), 0)
  assert.equal(host.errors, '')
  // Its place is free again.
  const again = await start(defer, [place])
  assert.deepEqual(again.ready.endpoints, [place])
})

const noClients = lacks('turnutils_natdiscovery', 'turnutils_stunclient')

test('turnutils_stunclient is told its endpoint by a server with one address', {
  skip: noClients,
  timeout,
}, async (context) => {
  const server = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  deferIn(context)(() => server.close())
  const port = String(server.endpoints[0]?.port)
  const program = findProgram('turnutils_stunclient') ?? ''
  assert.match(await output([program, '-p', port, '127.0.0.1']), /UDP reflexive addr: 127\.0\.0\.1:\d+/)
})

test('turnutils_stunclient gets the answer on the port and from the corner it asks for', {
  skip: noClients,
  timeout,
}, async (context) => {
  const { server, alternates } = await startWithAlternates(['127.0.0.1', '127.0.0.2'])
  deferIn(context)(() => server.close())
  const [first, second] = alternates.ports
  const program = findProgram('turnutils_stunclient') ?? ''
  // Its third question carries PADDING, which we do not offer; it would wait for that answer for ever.
  const both = /response 2\n(?:.*\n)*.*reflexive addr: \S+\n/
  let text = ''
  // It takes the port after its own without looking whether that is free.
  for (let attempt = 0; attempt < 3 && !both.test(text); attempt++) {
    text = await output([program, '-p', String(first), '127.0.0.1'], both)
  }
  assert.match(text, both)
  assert.match(text, new RegExp(`Response origin: : 127\\.0\\.0\\.2:${second}\\n`))
})

test('turnutils_natdiscovery finds no NAT where none is', { skip: noClients, timeout }, async (context) => {
  const { server, alternates } = await startWithAlternates(['127.0.0.1', '127.0.0.2'])
  deferIn(context)(() => server.close())
  assert.deepEqual(await discover(`127.0.0.1:${alternates.ports[0]}`, '127.0.0.1'), noNat)
})

/** Lets a router translate the port of the mapping test to another one for each of these destinations. */
function translate(router: string, ports: Readonly<Record<string, number>>): void {
  const rule = 'add rule ip home outbound oifname "wan"'
  const rules = Object.entries(ports).map(
    ([destination, port]) => `${rule} udp sport ${mappingPort} ${destination} masquerade to :${port}`,
  )
  const script = ['flush chain ip home outbound', ...rules, `${rule} masquerade`].join('; ')
  const { status, stderr } = spawnSync('ip', [...within(router).slice(1), 'nft', script], {
    encoding: 'utf8',
  })
  assert.equal(status, 0, stderr)
}

/** The places of each command that docs/address-server.md shows, with this world's addresses. */
function documentedPlaces(addresses: readonly [string, string]): string[][] {
  const shown = readFileSync('docs/address-server.md', 'utf8').matchAll(
    /`peerpost address-server (--listen [^`]+)`/g,
  )
  return [...shown].map(([, options = '']) =>
    [...options.matchAll(/--listen (\S+)/g)].map(([, place = '']) =>
      place.replace('198.51.100.1', addresses[0]).replace('198.51.100.2', addresses[1]),
    ),
  )
}

test('behind kernel NATs and without one, turnutils_natdiscovery and the documented commands tell what each is', {
  skip: noClients || lacks('nft', 'network namespaces'),
  timeout,
}, async (context) => {
  const defer = deferIn(context)
  const internet = makeInternet()
  defer(() => internet.close())
  const [one = [], two = [], ...others] = documentedPlaces(internet.serverAddresses)
  assert.deepEqual([one.length, two.length, others], [1, 2, []])
  const simple = await start(defer, one, internet.backbone)
  assert.deepEqual(simple.ready.behaviour, [])
  assert.equal(await simple.server.stop(5_000), 0)
  const { server, ready } = await start(defer, two, internet.backbone)
  assert.equal(ready.endpoints.length, 4)
  assert.deepEqual(ready.behaviour, ['IPv4'])
  const [place = ''] = ready.endpoints

  const [home, byPort] = [internet.addLan(), internet.addLan()]
  const open = internet.addPublicHost()
  const [first, second] = internet.serverAddresses
  // Address-dependent mapping is left out: natdiscovery asks its third question at our first address, and cannot tell.
  translate(byPort.router, {
    [`ip daddr ${first}`]: 20_001,
    [`ip daddr ${second} udp dport 3478`]: 20_002,
    [`ip daddr ${second} udp dport 3479`]: 20_003,
  })
  const found = await Promise.all([
    discover(place, '10.0.1.2', home.addHost()),
    discover(place, '10.0.2.2', byPort.addHost()),
  ])
  const filtering = 'NAT with Address and Port Dependent Filtering!'
  assert.deepEqual(found, [
    ['NAT with Endpoint Independent Mapping!', filtering],
    ['NAT with Address and Port Dependent Mapping!', filtering],
  ])
  assert.deepEqual(await discover(place, open.address, open.netns), noNat)
  assert.equal(await server.stop(5_000), 0)
})

test('over IPv6 the four places work too', {
  skip: noClients || lacks('network namespaces'),
  timeout,
}, async (context) => {
  const defer = deferIn(context)
  const internet = makeInternet()
  defer(() => internet.close())
  const { backbone } = internet
  for (const address of ['2001:db8::1', '2001:db8::2']) {
    const added = spawnSync('ip', ['-n', backbone, 'addr', 'add', `${address}/128`, 'dev', 'lo', 'nodad'])
    assert.equal(added.status, 0, String(added.stderr))
  }
  const { ready } = await start(defer, ['[2001:db8::1]:3478', '[2001:db8::2]:3479'], backbone)
  assert.deepEqual(ready.behaviour, ['IPv6'])
  assert.deepEqual(await discover('[2001:db8::1]:3478', '2001:db8::1', backbone), noNat)
})
