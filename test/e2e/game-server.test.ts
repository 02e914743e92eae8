// A game that knows nothing of peerpost: Debian's Teeworlds server beside one agent, and two players elsewhere, all behind
// kernel NATs. It speaks UDP to players, and TCP to who administers it.

import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { test } from 'node:test'
import type { ChildEvent } from '../../src/cli/child-process.ts'
import { commandsOf } from '../harness/documents.ts'
import { within } from '../harness/namespaces.ts'
import { findProgram, lacks } from '../harness/needs.ts'
import { ServerOutput } from '../harness/server-output.ts'
import { lacksOfWorld, makeWorld } from './kernel-world.ts'

const skip = lacksOfWorld || lacks('teeworlds-server')
const timeout = 240_000
const [gamePort, consolePort] = [8303, 8304]

/** What the README starts the game's server and the agents beside it with. */
const shown = commandsOf('README.md')
const settings = [
  ...quotedIn(shown.find((command) => command.startsWith('teeworlds-server '))),
  'sv_name A game beside an agent',
  ...['ec_bindaddr 127.0.0.1', `ec_port ${consolePort}`, 'ec_password secret'],
]

function quotedIn(command = ''): string[] {
  return [...command.matchAll(/'([^']+)'/g)].map(([, text = '']) => text)
}

function shownOption(option: '--expose' | '--forward'): string[] {
  const command = shown.find((line) => line.includes(` ${option} `)) ?? ''
  assert.match(command, new RegExp(`${option} udp:${gamePort}`))
  return command.slice(command.indexOf(option)).split(' ')
}

test('a game server takes players through agents, each from an address of its own, and its console too', {
  skip,
  timeout,
}, async (context) => {
  const { internet, makeAgent, defer } = await makeWorld(context)
  const [annas, bens, carlas] = [internet.addLan(), internet.addLan(), internet.addLan()].map((lan) =>
    lan.addHost(),
  ) as [string, string, string]
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-game-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))

  const runIn = (netns: string, command: string, ...args: string[]) => {
    const child = spawn('ip', [...within(netns).slice(1), command, ...args], {
      env: { ...process.env, HOME: folder },
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    defer(() => child.kill('SIGKILL'))
    return child
  }
  const server = runIn(annas, findProgram('teeworlds-server') ?? '', ...settings)
  await new ServerOutput('teeworlds-server', server).says(/server name is/)
  const play = async (netns: string, what: string) => {
    const port = what === 'join' ? gamePort : consolePort
    const child = runIn(netns, process.execPath, 'test/e2e/teeworlds-player.ts', what, `${port}`)
    const [line] = await once(createInterface({ input: child.stdout }), 'line')
    const leave = async () => {
      const ended = once(child, 'close')
      child.stdin.end()
      assert.deepEqual(await ended, [0, null])
    }
    return { said: JSON.parse(line) as Record<string, string | string[]>, leave }
  }

  const exposes = [...shownOption('--expose'), '--expose', `tcp:${consolePort}`]
  const anna = await makeAgent('anna', annas, ...exposes)
  await anna.waitFor('replied')
  const forwards = [...shownOption('--forward'), ...['--forward', `tcp:${consolePort}=anna:${consolePort}`]]
  const fromAnna = ({ peer }: ChildEvent) => (peer as { name: string }).name === 'anna'
  for (const [name, netns] of [
    ['ben', bens],
    ['carla', carlas],
  ] as const) {
    const agent = await makeAgent(name, netns, ...forwards)
    await agent.waitFor('connected', fromAnna)
  }

  const [ben, carla] = [await play(bens, 'join'), await play(carlas, 'join')]
  for (const { said } of [ben, carla]) {
    assert.deepEqual(said, { version: '0.7.5', name: 'A game beside an agent', map: 'dm1', mode: 'DM' })
  }
  const { players } = (await play(bens, 'console')).said
  assert.ok(Array.isArray(players))
  assert.equal(players.length, 2, `${players}`)
  const addresses = players.map((player) => player.replace(/:\d+$/, ''))
  for (const address of addresses) assert.match(address, /^127\.\d+\.\d+\.\d+$/)
  assert.notEqual(addresses[0], addresses[1], 'one address for each player')
  context.diagnostic(`the server sees ${players.join(' and ')}`)

  await ben.leave()
  for (;;) {
    const { players } = (await play(carlas, 'console')).said
    if (players?.length === 1) break
  }
  await carla.leave()
})
