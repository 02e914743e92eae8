// Two agents whom UDP does not bring together, on kernel NATs and firewalls: TCP carries their link, and their games notice
// nothing.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import type { ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import type { Defer } from '../harness/defer.ts'
import { startMiniupnpd } from '../harness/miniupnpd.ts'
import { dropUdp, within } from '../harness/namespaces.ts'
import { lacks } from '../harness/needs.ts'
import { type Connected, makeWorld, lacksOfWorld as skip } from './kernel-world.ts'

const timeout = 90_000

/** Answers datagrams and whatever comes over TCP; says on which port. */
const game = `
const dgram = require('node:dgram').createSocket('udp4')
dgram.on('message', (text, from) => dgram.send('echo of ' + text, from.port, from.address))
const tcp = require('node:net').createServer((socket) => socket.pipe(socket))
tcp.listen(0, '127.0.0.1', () => dgram.bind(tcp.address().port, '127.0.0.1', () => console.log(tcp.address().port)))`

/** One datagram, repeated until it is answered, and a megabyte through one TCP connection and back. */
const player = `
const socket = require('node:dgram').createSocket('udp4')
let asking
socket.on('message', (text) => {
  clearInterval(asking)
  socket.close()
  console.log(String(text))
  const sent = Buffer.alloc(1e6, 'peerpost')
  const tcp = require('node:net').connect(7001, '127.0.0.1', () => tcp.end(sent))
  const parts = []
  tcp.on('data', (part) => parts.push(part))
  tcp.on('end', () => console.log(Buffer.concat(parts).equals(sent) ? 'all back' : 'garbled'))
})
const ask = () => socket.send('hello', 7000, '127.0.0.1')
ask(); asking = setInterval(ask, 500)`

async function run(defer: Defer, netns: string, script: string) {
  const [ip = '', ...inside] = within(netns)
  const child = spawn(ip, [...inside, process.execPath, '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  defer(() => child.kill('SIGKILL'))
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  return async () => String((await lines.next()).value)
}

type World = Awaited<ReturnType<typeof makeWorld>>

/** Anna, with the game, and Ben, who plays it; the times are told. */
async function meet(context: TestContext, world: World, annasHost: string, bensHost: string) {
  const { makeAgent, defer } = world
  const gameSays = await run(defer, annasHost, game)
  const port = await gameSays()
  const anna = await makeAgent('anna', annasHost, '--expose', `udp:${port}`, '--expose', `tcp:${port}`)
  await anna.waitFor('replied')
  const forwards = ['--forward', `udp:7000=anna:${port}`, '--forward', `tcp:7001=anna:${port}`]
  const ben = await makeAgent('ben', bensHost, ...forwards)
  const both = (await Promise.all([anna.waitFor('connected'), ben.waitFor('connected')])) as Connected[]
  for (const { path, plan, sinceRequestMs, sincePunchMs } of both as (Connected & { plan: string })[]) {
    context.diagnostic(
      `${path.protocol} ${path.kind}, plan ${plan}: ${sincePunchMs} ms of trying, ${sinceRequestMs} ms since the request`,
    )
  }
  return { anna, ben, both }
}

async function play(defer: Defer, netns: string) {
  const playerSays = await run(defer, netns, player)
  assert.equal(await playerSays(), 'echo of hello')
  assert.equal(await playerSays(), 'all back')
}

function startOf(agent: PeerpostProcess): number {
  const ready = agent.events.find(({ event }) => event === 'ready')
  return Date.parse(String(ready?.at))
}

test('two agents behind NATs that drop all UDP meet by simultaneous open, and move to UDP when it passes', {
  skip,
  timeout,
}, async (context) => {
  const world = await makeWorld(context, { overTcp: true })
  const { internet, defer } = world
  const [annas, bens] = [internet.addLan(), internet.addLan()]
  const [annasHost, bensHost] = [annas.addHost(), bens.addHost()]
  const allows = [annas, bens].map(({ router }) => dropUdp(router))
  const { anna, ben, both } = await meet(context, world, annasHost, bensHost)
  for (const { path } of both) assert.equal(path.protocol, 'tcp')
  const requested = anna.events.find(({ event }) => event === 'requested')
  context.diagnostic(
    `the first request went out ${Date.parse(String(requested?.at)) - startOf(anna)} ms after it was ready`,
  )
  await play(defer, bensHost)

  const since = performance.now()
  for (const allow of allows) allow()
  const overUdp = (event: ChildEvent) => (event as Connected).path.protocol === 'udp'
  await Promise.all([anna.waitFor('path', overUdp), ben.waitFor('path', overUdp)])
  context.diagnostic(`on UDP ${Math.round(performance.now() - since)} ms after it was let through`)
  await play(defer, bensHost)
  for (const { events } of [anna, ben]) assert.ok(!events.some(({ event }) => event === 'disconnected'))
  for (const agent of [anna, ben]) {
    assert.equal(await agent.stop(8_000), 0)
    assert.equal(agent.errors, '')
  }
})

test('where a firewall drops all UDP, a port that the router opens for TCP is called', {
  skip: skip || lacks('miniupnpd'),
  timeout,
}, async (context) => {
  // Addresses that miniupnpd takes for public ones; a NAT with another port for each destination leaves no other way.
  const world = await makeWorld(context, { network: '11.9.0', overTcp: true })
  const { internet, defer } = world
  const [annas, bens] = [
    internet.addLan('', undefined, 'fully-random'),
    internet.addLan('', undefined, 'fully-random'),
  ]
  const router = await startMiniupnpd(annas)
  defer(() => router.stop())
  const [annasHost, bensHost] = [annas.addHost(), bens.addHost()]
  dropUdp(bens.router)
  const { anna, both } = await meet(context, world, annasHost, bensHost)
  for (const { path } of both) assert.equal(path.protocol, 'tcp')
  assert.match(String(both[1]?.path.remote), new RegExp(`^${annas.publicAddress}:`))
  await play(defer, bensHost)
  assert.equal(await anna.stop(8_000), 0)
  assert.deepEqual(router.openPorts(), [])
})

test('one without a NAT whose firewall drops UDP is called by TCP', { skip, timeout }, async (context) => {
  const world = await makeWorld(context, { overTcp: true })
  const { internet, defer } = world
  const annasHost = internet.addPublicHost().netns
  const bensHost = internet.addLan().addHost()
  dropUdp(annasHost)
  const { both } = await meet(context, world, annasHost, bensHost)
  for (const { path } of both) assert.equal(path.protocol, 'tcp')
  await play(defer, bensHost)
})
