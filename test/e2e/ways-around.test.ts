// Two agents whose NATs choose a port by chance for every connection cannot punch through; they meet where IPv6 or
// a router that opens ports leads around them. On real parts, in network namespaces.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import { startMiniupnpd } from '../harness/miniupnpd.ts'
import { within } from '../harness/namespaces.ts'
import { lacks } from '../harness/needs.ts'
import { type Connected, lacksOfWorld, makeWorld } from './kernel-world.ts'

const timeout = 60_000
const byChance = 'fully-random'

test('two agents behind firewalls for IPv6 connect by it, and strangers stay out', {
  skip: lacksOfWorld,
  timeout,
}, async (context) => {
  const { internet, makeAgent, defer } = await makeWorld(context, { ipv6: true })
  const [annas, bens] = [internet.addLan(byChance).addHost(), internet.addLan(byChance).addHost()]
  const anna = await makeAgent('anna', annas)
  await anna.waitFor('replied')
  const ben = await makeAgent('ben', bens)
  const [atAnna, atBen] = (await Promise.all([
    anna.waitFor('connected'),
    ben.waitFor('connected'),
  ])) as Connected[]
  assert.match(String(atAnna?.path.remote), /^\[2a10:50:0:2::2\]:/)
  assert.match(String(atBen?.path.remote), /^\[2a10:50:0:1::2\]:/)
  assert.equal(atAnna?.path.kind, 'direct')
  context.diagnostic(`IPv6: ${atBen?.sincePunchMs} ms of punching, ${atBen?.packets} packets`)

  // What the firewalls are worth: of two datagrams from outside only the answer comes in.
  const [ip = '', ...inside] = within(annas)
  const listener = spawn(ip, [...inside, process.execPath, '-e', listen], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  defer(() => listener.kill('SIGKILL'))
  const heard = createInterface({ input: listener.stdout })[Symbol.asyncIterator]()
  assert.equal((await heard.next()).value, 'ready')
  const [, ...outside] = within(internet.backbone)
  const caller = spawn(ip, [...outside, process.execPath, '-e', call], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  defer(() => caller.kill('SIGKILL'))
  assert.equal((await heard.next()).value, 'answer')
})

/** Asks the backbone until it hears something. */
const listen = `
const socket = require('node:dgram').createSocket('udp6')
socket.on('message', (text) => { console.log(String(text)); process.exit() })
socket.bind(7001, () => {
  console.log('ready')
  setTimeout(() => setInterval(() => socket.send('?', 7002, '2a10:50::1'), 100), 500)
})`

/** Calls uncalled from one port, and answers from another. */
const call = `
const dgram = require('node:dgram')
const stranger = dgram.createSocket('udp6')
setInterval(() => stranger.send('stranger', 7001, '2a10:50:0:1::2'), 50)
const called = dgram.createSocket('udp6')
called.on('message', (_text, from) => called.send('answer', from.port, from.address))
called.bind(7002)`

test('an agent whose router opens a port is reached through it from behind the worst NAT', {
  skip: lacksOfWorld || lacks('miniupnpd'),
  timeout,
}, async (context) => {
  for (const options of [{}, { pcp: false }]) {
    const { internet, makeAgent, defer } = await makeWorld(context, { network: '11.9.0' })
    const [annas, bens] = [internet.addLan(byChance), internet.addLan(byChance)]
    const router = await startMiniupnpd(annas, options)
    defer(() => router.stop())
    const anna = await makeAgent('anna', annas.addHost())
    const { notice } = await anna.waitFor('notice')
    await anna.waitFor('replied')
    const [port] = router.openPorts()
    const language = 'pcp' in options ? 'UPnP' : 'PCP'
    assert.equal(notice, `The router opened port ${port} (${language}).`)
    assert.equal(anna.events.filter(({ event }) => event === 'requested').length, 1)
    const ben = await makeAgent('ben', bens.addHost())
    const [, atBen] = (await Promise.all([
      anna.waitFor('connected'),
      ben.waitFor('connected'),
    ])) as Connected[]
    assert.equal(atBen?.path.remote, `${annas.publicAddress}:${port}`)
    context.diagnostic(`${language}: ${atBen?.sincePunchMs} ms of punching, ${atBen?.packets} packets`)
    assert.equal(await anna.stop(8_000), 0)
    assert.deepEqual(router.openPorts(), [])
  }
})
