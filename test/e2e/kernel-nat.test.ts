// The main job on real parts: Postfix, Dovecot, coturn, and agents in network namespaces behind kernel NATs.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { type TestContext, test } from 'node:test'
import type { ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { within } from '../harness/namespaces.ts'
import { type Connected, makeWorld, lacksOfWorld as skip } from './kernel-world.ts'

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

/** Both sides' `connected`, and the proof that the second was there within 5 s of its request. */
async function meet(context: TestContext, first: PeerpostProcess, second: PeerpostProcess, kind: string) {
  const both = (await Promise.all([first.waitFor('connected'), second.waitFor('connected')])) as Connected[]
  for (const event of both) {
    assert.equal(event.path.kind, kind)
    assert.equal(event.path.protocol, 'udp', 'TCP is for where UDP does not pass')
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
