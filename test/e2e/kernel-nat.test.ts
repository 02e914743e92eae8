// The main job on real parts: Postfix, Dovecot, coturn, and agents in network namespaces behind kernel NATs.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { type ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { makeInternet, within } from '../harness/namespaces.ts'
import { lacks } from '../harness/needs.ts'
import { startPostOffice } from '../harness/post-office.ts'
import { startStunServer } from '../harness/stun-server.ts'

const skip = lacks('postfix', 'dovecot', 'turnserver', 'nft', 'network namespaces')
/** A world is built in a few seconds; whatever takes longer hangs. */
const timeout = 60_000

/** A game as far as this test cares: answers what it gets, and says on which port it does. */
const echoGame = `
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (text, from) => socket.send('echo of ' + text, from.port, from.address))
socket.bind(0, '127.0.0.1', () => console.log(socket.address().port))`

const askGame = `
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (text) => { console.log(String(text)); process.exit(0) })
const ask = () => socket.send('hello', Number(process.argv[1]), '127.0.0.1')
ask(); setInterval(ask, 500)`

/** One world: backbone with mail and STUN, a running host, and the invite to its room. */
async function makeWorld(context: TestContext) {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-e2e-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  const internet = makeInternet()
  defer(() => internet.close())
  const { backbone, serverAddresses } = internet
  const [office, stun] = await Promise.all([
    startPostOffice({ listen: serverAddresses[0], netns: backbone }),
    startStunServer({ addresses: serverAddresses, port: 3478, prefix: within(backbone) }),
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

type Connected = ChildEvent & {
  readonly path: { readonly kind: string; readonly remote: string }
  readonly sinceRequestMs: number
  readonly sincePunchMs: number
  readonly packets: number
}

/** Both sides' `connected`, and the proof that the second was there within 5 s of its request. */
async function meet(context: TestContext, first: PeerpostProcess, second: PeerpostProcess, kind: string) {
  const both = (await Promise.all([first.waitFor('connected'), second.waitFor('connected')])) as Connected[]
  for (const event of both) {
    assert.equal(event.path.kind, kind)
    context.diagnostic(
      `${kind}: ${event.sinceRequestMs} ms since the request, ${event.sincePunchMs} ms of punching, ${event.packets} packets`,
    )
  }
  const asked = Date.parse(String((await second.waitFor('requested')).at))
  for (const event of both) {
    const tookMs = Date.parse(String(event.at)) - asked
    assert.ok(tookMs < 5_000, `connected ${tookMs} ms after the second agent's request`)
  }
  return both
}

test('two agents behind NATs of their own connect directly, and their games talk', {
  skip,
}, async (context) => {
  const { internet, makeAgent, host, defer } = await makeWorld(context)
  const [annas, bens] = [internet.addLan(), internet.addLan()]
  const [annasHost, bensHost] = [annas.addHost(), bens.addHost()]

  const game = spawn('ip', [...within(annasHost).slice(1), process.execPath, '-e', echoGame])
  defer(() => game.kill('SIGKILL'))
  const gamePort = await firstLine(game.stdout)

  const anna = await makeAgent('anna', annasHost, '--expose', `udp:${gamePort}`)
  const { peers } = (await anna.waitFor('replied')) as ChildEvent & { peers: number }
  assert.equal(peers, 0, 'the first to ask gets an empty, formal reply')
  const ben = await makeAgent('ben', bensHost, '--forward', `udp:7000=anna:${gamePort}`)
  const [atAnna, atBen] = await meet(context, anna, ben, 'direct')
  assert.match(String(atAnna?.path.remote), new RegExp(`^${bens.publicAddress}:`))
  assert.match(String(atBen?.path.remote), new RegExp(`^${annas.publicAddress}:`))
  assert.equal((await anna.waitFor('nat')).mapping, 'EIM')

  const client = spawn('ip', [...within(bensHost).slice(1), process.execPath, '-e', askGame, '7000'])
  defer(() => client.kill('SIGKILL'))
  assert.equal(await firstLine(client.stdout), 'echo of hello')

  assert.equal(await ben.stop(8_000), 0)
  assert.equal((await anna.waitFor('disconnected')).reason, 'closed-by-peer')
  assert.equal(await anna.stop(8_000), 0)
  await host.waitFor('letter', ({ kind, outcome }) => kind === 'leave' && outcome === 'accepted')
  assert.equal(await host.stop(8_000), 0)
  for (const child of [anna, ben, host]) assert.equal(child.errors, '')
})

test('two agents behind one NAT connect inside the LAN', { skip, timeout }, async (context) => {
  const { internet, makeAgent } = await makeWorld(context)
  const lan = internet.addLan()
  const anna = await makeAgent('anna', lan.addHost())
  await anna.waitFor('replied')
  const ben = await makeAgent('ben', lan.addHost())
  const [atAnna] = await meet(context, anna, ben, 'lan')
  assert.match(String(atAnna?.path.remote), /^10\.0\.1\./)
})

test('an agent without a NAT and one behind a NAT connect directly', { skip, timeout }, async (context) => {
  const { internet, makeAgent } = await makeWorld(context)
  const anna = await makeAgent('anna', internet.addPublicHost().netns)
  await anna.waitFor('replied')
  const ben = await makeAgent('ben', internet.addLan().addHost())
  await meet(context, anna, ben, 'direct')
  assert.equal((await anna.waitFor('nat')).mapping, 'none')
})

test('an agent killed without a goodbye comes back and is met again', { skip, timeout }, async (context) => {
  const { internet, makeAgent } = await makeWorld(context)
  const anna = await makeAgent('anna', internet.addLan().addHost())
  await anna.waitFor('replied')
  const lan = internet.addLan().addHost()
  const ben = await makeAgent('ben', lan)
  await meet(context, anna, ben, 'direct')
  ben.kill('SIGKILL')
  await ben.ended
  const before = anna.events.filter(({ event }) => event === 'connected').length
  const again = await makeAgent('ben', lan)
  await again.waitFor('connected')
  await anna.waitFor(
    'connected',
    () => anna.events.filter(({ event }) => event === 'connected').length > before,
  )
})

function firstLine(stream: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = ''
    stream.setEncoding('utf8').on('data', (part: string) => {
      text += part
      const end = text.indexOf('\n')
      if (end >= 0) resolve(text.slice(0, end))
    })
    stream.on('end', () => reject(new Error(`no line, only "${text}"`)))
  })
}
