// A game goes on while its player's network changes, on kernel NATs: its socket stays, and packets get lost for a moment.

import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { type TestContext, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import type { PeerpostProcess } from '../../src/cli/child-process.ts'
import { within } from '../harness/namespaces.ts'
import { makeWorld, lacksOfWorld as skip } from './kernel-world.ts'

const timeout = 90_000
const back = { withoutMailMs: 5_000, byMailMs: 40_000 }

/** Answers, and says when a player it has not seen yet sends something. */
const server = `
const socket = require('node:dgram').createSocket('udp4')
const seen = new Set()
socket.on('message', (text, from) => {
  const player = from.address + ':' + from.port
  if (!seen.has(player)) console.log('player ' + seen.add(player).size)
  socket.send(text, from.port, from.address)
})
socket.bind(0, '127.0.0.1', () => console.log(socket.address().port))`

/** One socket for the whole game; says when its moves were answered, by its own clock. */
const client = `
const socket = require('node:dgram').createSocket('udp4')
socket.on('message', () => console.log(performance.now()))
let move = 0
setInterval(() => socket.send(String(++move), 7000, '127.0.0.1'), 50)`

/** So many answers in a row, and all is well. */
const calm = 50

class Game {
  readonly lines: string[] = []
  readonly child: ChildProcess

  constructor(netns: string, script: string) {
    this.child = spawn('ip', [...within(netns).slice(1), process.execPath, '-e', script])
    if (!this.child.stdout) throw new Error('no output')
    createInterface({ input: this.child.stdout }).on('line', (line) => this.lines.push(line))
  }

  async until(what: string, condition: () => boolean, withinMs: number): Promise<void> {
    for (const end = performance.now() + withinMs; !condition(); await sleep(20)) {
      assert.ok(performance.now() < end, `not within ${withinMs / 1_000} s: ${what}`)
    }
  }

  /** How long no answer came after the change, ms. */
  async gapAfter(change: () => void, withinMs: number): Promise<number> {
    const running = this.lines.length + 20
    await this.until('the game runs', () => this.lines.length > running, 5_000)
    const before = this.lines.length - 1
    change()
    const isBack = () =>
      this.lines.length > before + calm && this.#gaps(this.lines.length - calm).every((ms) => ms < 250)
    await this.until('the game is back', isBack, withinMs + 5_000)
    return Math.max(...this.#gaps(before))
  }

  /** From each answer to the next, from that one on. */
  #gaps(first: number): number[] {
    const times = this.lines.slice(first).map(Number)
    return times.slice(1).map((at, index) => at - (times[index] as number))
  }
}

async function playing(context: TestContext, where: 'no NAT' | 'NAT') {
  const world = await makeWorld(context)
  const { internet, makeAgent, defer } = world
  const lan = internet.addLan()
  const annasHost = lan.addHost()
  const bensHost = where === 'NAT' ? internet.addLan().addHost() : internet.addPublicHost().netns
  const game = new Game(bensHost, server)
  defer(() => game.child.kill('SIGKILL'))
  await game.until('the server runs', () => game.lines.length > 0, 5_000)
  const ben = await makeAgent('ben', bensHost, '--expose', `udp:${game.lines[0]}`)
  await ben.waitFor('replied')
  const anna = await makeAgent('anna', annasHost, '--forward', `udp:7000=ben:${game.lines[0]}`)
  await Promise.all([anna.waitFor('connected'), ben.waitFor('connected')])
  const player = new Game(annasHost, client)
  defer(() => player.child.kill('SIGKILL'))
  await player.until('the first answer', () => player.lines.length > 0, 10_000)
  return { ...world, lan, annasHost, anna, ben, player, game }
}

/** Who was told what, for messages of failed tests. */
function story(...told: readonly PeerpostProcess[]): string {
  const lines = told.flatMap(({ events }) => events.map((event) => JSON.stringify(event)))
  return lines.sort((one, other) => timeIn(one).localeCompare(timeIn(other))).join('\n')
}

function timeIn(line: string): string {
  return /"at":"([^"]*)"/.exec(line)?.[1] ?? ''
}

function assertOneLink(game: Game, ...agents: readonly PeerpostProcess[]): void {
  for (const { events } of agents) {
    assert.equal(events.filter(({ event }) => event === 'disconnected').length, 0)
  }
  assert.deepEqual(game.lines.slice(1), ['player 1'], 'the other game sees one and the same player')
}

test('when the router gets another public address, a game with a peer without a NAT goes on within 5 s, without mail', {
  skip,
  timeout,
}, async (context) => {
  const { host, lan, player, game, anna, ben, internet } = await playing(context, 'no NAT')
  await host.stop(8_000)
  const publicAddress = `${internet.serverAddresses[0].replace(/\.1$/, '')}.77`
  const gapMs = await player.gapAfter(() => lan.changePublicAddress(publicAddress), back.withoutMailMs)
  context.diagnostic(`nothing for ${Math.round(gapMs)} ms`)
  assert.ok(gapMs <= back.withoutMailMs)
  const moved = await ben.waitFor('path')
  assert.match(JSON.stringify(moved.path), new RegExp(publicAddress))
  assertOneLink(game, anna, ben)
})

test('when the computer is plugged into another LAN, a game with a peer without a NAT goes on within 5 s, without mail', {
  skip,
  timeout,
}, async (context) => {
  const { host, annasHost, player, game, anna, ben, internet } = await playing(context, 'no NAT')
  const other = internet.addLan()
  await host.stop(8_000)
  const gapMs = await player.gapAfter(() => other.adopt(annasHost), back.withoutMailMs)
  context.diagnostic(`nothing for ${Math.round(gapMs)} ms`)
  assert.ok(gapMs <= back.withoutMailMs)
  await ben.waitFor('path')
  assertOneLink(game, anna, ben)
})

test('when the peer’s NAT keeps the moved one out, mail brings the game back, on the same sockets', {
  skip,
  timeout,
}, async (context) => {
  const { host, lan, player, game, anna, ben, internet } = await playing(context, 'NAT')
  const publicAddress = `${internet.serverAddresses[0].replace(/\.1$/, '')}.77`
  const gapMs = await player.gapAfter(() => lan.changePublicAddress(publicAddress), back.byMailMs)
  context.diagnostic(`nothing for ${Math.round(gapMs)} ms`)
  assert.ok(gapMs <= back.byMailMs, story(host, anna, ben))
  assertOneLink(game, anna, ben)
})

test('so it does when the computer is plugged into another LAN, where its connections to the mail server are dead', {
  skip,
  timeout,
}, async (context) => {
  const { host, annasHost, player, game, anna, ben, internet } = await playing(context, 'NAT')
  const other = internet.addLan()
  const gapMs = await player.gapAfter(() => other.adopt(annasHost), back.byMailMs)
  context.diagnostic(`nothing for ${Math.round(gapMs)} ms`)
  assert.ok(gapMs <= back.byMailMs, story(host, anna, ben))
  assertOneLink(game, anna, ben)
})
