// Hard NATs as the kernel makes them: a port by chance for every connection, over all ports or inside a block. Real
// sockets, mail and STUN, in network namespaces.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import type { ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { within } from '../harness/namespaces.ts'
import { type Connected, makeWorld, lacksOfWorld as skip } from './kernel-world.ts'

const timeout = 120_000

async function makePair(context: TestContext, annasNat: string, bensNat: string) {
  const { internet, makeAgent } = await makeWorld(context)
  const [annas, bens] = [internet.addLan(annasNat).addHost(), internet.addLan(bensNat).addHost()]
  const anna = await makeAgent('anna', annas, '--expose', 'udp:7001')
  await anna.waitFor('replied')
  const ben = await makeAgent('ben', bens, '--forward', 'udp:7000=anna:7001')
  return { anna, ben, annas, bens }
}

const game = `
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (text, from) => socket.send('echo of ' + text, from.port, from.address))
socket.bind(7001, '127.0.0.1')`

const player = `
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', (text) => { console.log(String(text)); process.exit(0) })
setInterval(() => socket.send('hello', 7000, '127.0.0.1'), 200)`

/** A datagram of the game crosses the link, and comes back. */
async function play(context: TestContext, annas: string, bens: string): Promise<string> {
  const [server, client] = [
    [annas, game],
    [bens, player],
  ].map(([netns = '', script = '']) => {
    const [ip = '', ...inside] = within(netns)
    const child = spawn(ip, [...inside, process.execPath, '-e', script], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    context.after(() => child.kill('SIGKILL'))
    return child
  })
  assert.ok(server && client)
  for await (const line of client.stdout) return String(line).trim()
  return ''
}

async function connected(context: TestContext, agents: readonly PeerpostProcess[], plan: string) {
  const events = (await Promise.all(agents.map((agent) => agent.waitFor('connected')))) as Connected[]
  for (const event of events) {
    assert.equal((event as ChildEvent & { plan?: string }).plan, plan)
    assert.equal(event.path.kind, 'direct')
    context.diagnostic(`${plan}: ${event.sincePunchMs} ms of punching, ${event.packets} packets`)
  }
}

const searches = {
  'a router that takes any port by chance': { how: 'fully-random', plan: 'birthday' },
  'a carrier that takes one of 256 ports by chance': {
    how: 'to :40000-40255 fully-random',
    plan: 'block-search',
  },
} as const

for (const [name, { how, plan }] of Object.entries(searches)) {
  test(`an agent behind ${name} and one behind an ordinary router search, connect, and their games talk`, {
    skip,
    timeout,
  }, async (context) => {
    const { anna, ben, annas, bens } = await makePair(context, '', how)
    await connected(context, [anna, ben], plan)
    assert.equal(await play(context, annas, bens), 'echo of hello')
    assert.equal(await ben.stop(8_000), 0)
    assert.equal(await anna.stop(8_000), 0)
    for (const agent of [anna, ben]) assert.equal(agent.errors, '')
  })
}

test('two agents behind routers that take any port by chance are told at once why not, and what would help', {
  skip,
  timeout,
}, async (context) => {
  const { anna, ben } = await makePair(context, 'fully-random', 'fully-random')
  for (const [agent, told] of [
    [anna, 'introduced'],
    [ben, 'replied'],
  ] as const) {
    const [failed, knew] = await Promise.all([agent.waitFor('failed'), agent.waitFor(told)])
    assert.ok(Date.parse(String(failed.at)) - Date.parse(String(knew.at)) < 5_000)
    assert.match(String(failed.advice), /UPnP/)
  }
})
