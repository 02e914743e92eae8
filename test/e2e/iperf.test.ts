// A program that knows nothing of peerpost, over it: iperf3 through two agents behind kernel NATs, TCP and UDP, one of
// the ways narrower than Ethernet.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { test } from 'node:test'
import { within } from '../harness/namespaces.ts'
import { lacks } from '../harness/needs.ts'
import { ServerOutput } from '../harness/server-output.ts'
import { lacksOfWorld, makeWorld } from './kernel-world.ts'

const skip = lacksOfWorld || lacks('iperf3')
const timeout = 90_000
const port = 5201

type Result = {
  readonly error?: string
  readonly end: {
    readonly sum_sent?: { readonly bytes: number }
    readonly sum_received?: { readonly bytes: number; readonly bits_per_second: number }
    readonly sum?: { readonly bytes: number; readonly packets: number; readonly lost_percent: number }
  }
}

test('iperf3 measures TCP and UDP through two agents, both ways', { skip, timeout }, async (context) => {
  const { internet, makeAgent, defer } = await makeWorld(context)
  const [annas, bens] = [internet.addLan(), internet.addLan()]
  const [annasHost, bensHost] = [annas.addHost(), bens.addHost()]
  const narrow = spawnSync('ip', ['-n', bens.router, 'link', 'set', 'wan', 'mtu', '1400'])
  assert.equal(narrow.status, 0)

  const server = spawn('ip', [...within(annasHost).slice(1), 'iperf3', '-s', '-p', `${port}`, '--forceflush'])
  defer(() => server.kill('SIGKILL'))
  // It takes one client at a time, and says when it is ready for the next.
  const output = new ServerOutput('iperf3', server)
  let clients = 0

  const exposes = ['--expose', `tcp:${port}`, '--expose', `udp:${port}`]
  const anna = await makeAgent('anna', annasHost, ...exposes)
  await anna.waitFor('replied')
  const forwards = ['--forward', `tcp:${port}=anna:${port}`, '--forward', `udp:${port}=anna:${port}`]
  const ben = await makeAgent('ben', bensHost, ...forwards)
  await Promise.all([anna.waitFor('connected'), ben.waitFor('connected')])

  const measure = async (...options: string[]): Promise<Result['end']> => {
    await output.says(/listening/, ++clients, timeout)
    const args = ['iperf3', '-c', '127.0.0.1', '-p', `${port}`, '-J', '-t', '1', ...options]
    const client = spawn('ip', [...within(bensHost).slice(1), ...args])
    let text = ''
    client.stdout.on('data', (part) => {
      text += String(part)
    })
    await new Promise((resolve) => client.on('close', resolve))
    const result = JSON.parse(text) as Result
    assert.equal(result.error, undefined, `iperf3 ${options.join(' ')}`)
    return result.end
  }

  for (const options of [[], ['-R'], ['-P', '4']]) {
    const { sum_received: got } = await measure(...options)
    assert.ok(got && got.bytes > 300_000, `TCP ${options.join(' ')}: ${got?.bytes} bytes`)
    context.diagnostic(`TCP ${options.join(' ')}: ${Math.round(got.bits_per_second / 1e6)} Mbit/s`)
  }
  // As fast as games are: whether a busy computer keeps up with thousands a second is for the bench to say.
  for (const [size, rate] of [
    [200, '300K'],
    [1_300, '2M'],
    [8_000, '8M'],
    [60_000, '8M'],
  ] as const) {
    for (const way of [[], ['-R']]) {
      const { sum } = await measure('-u', '-b', rate, '-l', `${size}`, ...way)
      assert.ok(
        sum && sum.packets > 10 && sum.lost_percent < 20,
        `UDP ${size} ${way}: ${JSON.stringify(sum)}`,
      )
      context.diagnostic(
        `UDP of ${size} bytes ${way.join('')}: ${sum.packets} sent, ${sum.lost_percent} % lost`,
      )
    }
  }
  for (const agent of [ben, anna]) {
    assert.equal(await agent.stop(8_000), 0)
    assert.equal(agent.errors, '')
  }
})
