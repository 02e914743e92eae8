import assert from 'node:assert/strict'
import { randomInt } from 'node:crypto'
import { createSocket, type Socket } from 'node:dgram'
import { once } from 'node:events'
import { type TestContext, test } from 'node:test'
import { utf8 } from '../../src/base/bytes.ts'
import { Problem } from '../../src/base/problem.ts'
import {
  createForwarder,
  type Forwarder,
  type ForwarderEvent,
  type ForwarderOptions,
  type PeerLink,
} from '../../src/forward/forwarder.ts'
import { idleMs } from '../../src/forward/udp/flow-table.ts'
import { encodeFrame, maxPayloadBytes } from '../../src/forward/udp/game-datagram-frame.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

/** The UDP socket of a program on loopback, and the datagrams it received. */
class Program {
  readonly datagrams: { readonly text: string; readonly address: string; readonly port: number }[] = []
  readonly socket: Socket
  #waiting: (() => void)[] = []

  constructor(socket: Socket) {
    this.socket = socket
    socket.on('message', (bytes, { address, port }) => {
      this.datagrams.push({ text: bytes.toString(), address, port })
      for (const wake of this.#waiting.splice(0)) wake()
    })
  }

  get port(): number {
    return this.socket.address().port
  }

  send(port: number, content: string | Uint8Array, address = '127.0.0.1'): void {
    this.socket.send(content, port, address)
  }

  async received(count: number): Promise<string[]> {
    while (this.datagrams.length < count) await new Promise<void>((resolve) => this.#waiting.push(resolve))
    return this.datagrams.map(({ text }) => text)
  }
}

async function program(context: TestContext, port = 0, address = '127.0.0.1'): Promise<Program> {
  const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
  context.after(() => socket.close())
  socket.bind(port, address)
  await once(socket, 'listening')
  return new Program(socket)
}

/** A game that answers every datagram with the sender's port. */
async function echo(context: TestContext): Promise<Program> {
  const game = await program(context)
  game.socket.on('message', (bytes, { address, port }) =>
    game.send(port, `${bytes.toString()} from ${port}`, address),
  )
  return game
}

async function freePort(): Promise<number> {
  const socket = createSocket('udp4')
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  const { port } = socket.address()
  await new Promise<void>((resolve) => socket.close(() => resolve()))
  return port
}

function start(context: TestContext, options: Partial<ForwarderOptions>) {
  const clock = new VirtualClock()
  const events: ForwarderEvent[] = []
  const onEvent = (event: ForwarderEvent) => void events.push(event)
  const isFriend = () => false
  const random = () => randomInt(2 ** 32)
  const forwarder = createForwarder({
    clock,
    exposes: [],
    forwards: [],
    random,
    isFriend,
    onEvent,
    ...options,
  })
  context.after(() => forwarder.close())
  return { forwarder, clock, events }
}

/** The forwarders of the game (bob) and of a player (alice), linked in memory. */
async function linkedPair(context: TestContext, gamePort: number) {
  const localPort = await freePort()
  const bob = start(context, { exposes: [{ protocol: 'udp', port: gamePort, friendsOnly: false }] })
  const alice = start(context, { forwards: [{ protocol: 'udp', localPort, nick: 'bob', port: gamePort }] })
  await bob.forwarder.open()
  await alice.forwarder.open()
  link(alice.forwarder, 'alice-id', 'alice', bob.forwarder, 'bob-id', 'bob')
  return { alice, bob, localPort }
}

function linkTo(take: (bytes: Uint8Array) => void): PeerLink {
  return { send: (bytes) => queueMicrotask(() => take(bytes)), maxUnfragmentedBytes: () => 1166 }
}

function link(a: Forwarder, aId: string, aName: string, b: Forwarder, bId: string, bName: string): void {
  a.attach(
    { id: bId, name: bName },
    linkTo((bytes) => b.handleDatagram(aId, bytes)),
  )
  b.attach(
    { id: aId, name: aName },
    linkTo((bytes) => a.handleDatagram(bId, bytes)),
  )
}

test('a local client exchanges datagrams with the game that a peer exposes', async (context) => {
  const game = await echo(context)
  const { localPort } = await linkedPair(context, game.port)
  const client = await program(context)
  client.send(localPort, 'one')
  const [first] = await client.received(1)
  client.send(localPort, 'two')
  const [, second] = await client.received(2)
  assert.match(first ?? '', /^one from /)
  assert.equal(second, first?.replace('one', 'two'))
  assert.ok(client.datagrams.every(({ port }) => port === localPort))
})

test('two local clients are two players to the game, and each gets its own answers', async (context) => {
  const game = await echo(context)
  const { localPort } = await linkedPair(context, game.port)
  const [first, second] = [await program(context), await program(context)]
  first.send(localPort, 'first')
  second.send(localPort, 'second')
  const [[toFirst], [toSecond]] = await Promise.all([first.received(1), second.received(1)])
  assert.match(toFirst ?? '', /^first from /)
  assert.match(toSecond ?? '', /^second from /)
  assert.equal(new Set(game.datagrams.map(({ port }) => port)).size, 2)
})

test('two peers are two players to the game, even with the same flow number', async (context) => {
  const game = await echo(context)
  const { bob } = await linkedPair(context, game.port)
  bob.forwarder.attach(
    { id: 'carol-id', name: 'carol' },
    linkTo(() => {}),
  )
  const hello = encodeFrame({ kind: 'to-game', port: game.port, flow: 1, payload: utf8('hello') })
  bob.forwarder.handleDatagram('alice-id', hello)
  bob.forwarder.handleDatagram('carol-id', hello)
  await game.received(2)
  assert.equal(new Set(game.datagrams.map(({ port }) => port)).size, 2)
})

test('a player whose link was lost and opened again is the same player to the game', async (context) => {
  const game = await echo(context)
  const { alice, bob, localPort } = await linkedPair(context, game.port)
  const client = await program(context)
  client.send(localPort, 'before')
  await client.received(1)
  alice.forwarder.detach('bob-id')
  bob.forwarder.detach('alice-id')
  link(alice.forwarder, 'alice-id', 'alice', bob.forwarder, 'bob-id', 'bob')
  client.send(localPort, 'after')
  await client.received(2)
  assert.equal(new Set(game.datagrams.map(({ port }) => port)).size, 1)
})

test('a flow that was idle too long is removed on both sides, and a new one starts', async (context) => {
  const game = await echo(context)
  const { alice, bob, localPort } = await linkedPair(context, game.port)
  const client = await program(context)
  client.send(localPort, 'before')
  await client.received(1)
  await alice.clock.advance(idleMs * 2)
  await bob.clock.advance(idleMs * 2)
  const stale = encodeFrame({ kind: 'from-game', port: game.port, flow: 1, payload: utf8('stale') })
  alice.forwarder.handleDatagram('bob-id', stale)
  assert.equal(alice.forwarder.counts().unknownFlow, 1)
  client.send(localPort, 'after')
  assert.deepEqual((await client.received(2)).length, 2)
  assert.equal(new Set(game.datagrams.map(({ port }) => port)).size, 2)
})

test('a port that is not exposed cannot be reached', async (context) => {
  const game = await echo(context)
  const secret = await echo(context)
  const { bob } = await linkedPair(context, game.port)
  const to = (port: number) => encodeFrame({ kind: 'to-game', port, flow: 1, payload: utf8('knock') })
  bob.forwarder.handleDatagram('alice-id', to(secret.port))
  bob.forwarder.handleDatagram('alice-id', to(game.port))
  await game.received(1)
  assert.deepEqual(secret.datagrams, [])
  assert.equal(bob.forwarder.counts().notExposed, 1)
})

test('a game that does not run yet causes no error, and is reached when it runs', async (context) => {
  const gamePort = await freePort()
  const { localPort, bob } = await linkedPair(context, gamePort)
  const client = await program(context)
  client.send(localPort, 'too early')
  const game = await program(context, gamePort)
  const hello = encodeFrame({ kind: 'to-game', port: gamePort, flow: 1, payload: utf8('hello') })
  bob.forwarder.handleDatagram('alice-id', hello)
  assert.ok((await game.received(1)).length >= 1)
})

test('only the game itself can answer through a flow', async (context) => {
  const game = await program(context)
  const { localPort } = await linkedPair(context, game.port)
  const [client, otherProgram] = [await program(context), await program(context)]
  client.send(localPort, 'hello')
  await game.received(1)
  const { port, address } = game.datagrams[0] ?? { port: 0, address: '' }
  otherProgram.send(port, 'forged', address)
  game.send(port, 'true', address)
  assert.deepEqual(await client.received(1), ['true'])
})

test('a peer cannot answer in a flow of another peer', async (context) => {
  const game = await program(context)
  const { alice, localPort } = await linkedPair(context, game.port)
  const client = await program(context)
  client.send(localPort, 'hello')
  await game.received(1)
  alice.forwarder.attach(
    { id: 'carol-id', name: 'carol' },
    linkTo(() => {}),
  )
  const forged = encodeFrame({ kind: 'from-game', port: game.port, flow: 1, payload: utf8('forged') })
  alice.forwarder.handleDatagram('carol-id', forged)
  assert.equal(alice.forwarder.counts().unknownFlow, 1)
  game.send(game.datagrams[0]?.port ?? 0, 'true', game.datagrams[0]?.address)
  assert.deepEqual(await client.received(1), ['true'])
})

test('the largest UDP datagram passes in both directions unchanged', async (context) => {
  const game = await program(context)
  const { localPort } = await linkedPair(context, game.port)
  const client = await program(context)
  client.send(localPort, new Uint8Array(maxPayloadBytes).fill(97))
  client.send(localPort, 'small')
  assert.deepEqual(await game.received(2), ['a'.repeat(maxPayloadBytes), 'small'])
  const { port, address } = game.datagrams[0] ?? { port: 0, address: '' }
  game.send(port, 'small', address)
  game.send(port, new Uint8Array(maxPayloadBytes).fill(98), address)
  assert.deepEqual(await client.received(2), ['small', 'b'.repeat(maxPayloadBytes)])
})

test('datagrams without a linked peer and invalid frames are dropped and counted', async (context) => {
  const game = await program(context)
  const { alice, localPort } = await linkedPair(context, game.port)
  const client = await program(context)
  alice.forwarder.handleDatagram('bob-id', Uint8Array.of(9))
  assert.equal(alice.forwarder.counts().malformed, 1)
  alice.forwarder.detach('bob-id')
  client.send(localPort, 'to nobody')
  while (alice.forwarder.counts().notLinked === 0) await new Promise((resolve) => setImmediate(resolve))
})

test('a game that listens only on ::1 is reached, and a client on ::1 is served', async (context) => {
  const game = await program(context, 0, '::1')
  const { localPort } = await linkedPair(context, game.port)
  const client = await program(context, 0, '::1')
  client.send(localPort, 'one', '::1')
  assert.deepEqual(await game.received(1), ['one'])
  game.send(game.datagrams[0]?.port ?? 0, 'two', '::1')
  client.send(localPort, 'three', '::1')
  assert.deepEqual(await game.received(2), ['one', 'three'])
  assert.deepEqual(await client.received(1), ['two'])
  assert.equal(new Set(game.datagrams.map(({ port }) => port)).size, 1)
})

test('each peer has its own address at the game, the same for all its flows', async (context) => {
  const game = await program(context)
  const { bob } = await linkedPair(context, game.port)
  bob.forwarder.attach(
    { id: 'carol-id', name: 'carol' },
    linkTo(() => {}),
  )
  for (const [peer, flow] of [
    ['alice-id', 1],
    ['alice-id', 2],
    ['carol-id', 1],
  ] as const) {
    const hello = encodeFrame({ kind: 'to-game', port: game.port, flow, payload: utf8(`${peer} ${flow}`) })
    bob.forwarder.handleDatagram(peer, hello)
    await game.received(game.datagrams.length + 1)
  }
  const [one, other, carols] = game.datagrams.map(({ address }) => address)
  assert.equal(one, other)
  if (process.platform === 'linux') assert.notEqual(one, carols)
})

test('a port for friends is open only to friends', async (context) => {
  const game = await program(context)
  const exposes = [{ protocol: 'udp', port: game.port, friendsOnly: true } as const]
  const { forwarder } = start(context, { exposes, isFriend: (id) => id === 'alice-id' })
  await forwarder.open()
  for (const peer of ['carol-id', 'alice-id']) {
    forwarder.attach(
      { id: peer, name: peer },
      linkTo(() => {}),
    )
    const hello = encodeFrame({ kind: 'to-game', port: game.port, flow: 1, payload: utf8(peer) })
    forwarder.handleDatagram(peer, hello)
  }
  assert.deepEqual(await game.received(1), ['alice-id'])
  assert.equal(forwarder.counts().notExposed, 1)
})

test('an error for a local port in use names the port and suggests another', async (context) => {
  const taken = await program(context)
  const { forwarder } = start(context, {
    forwards: [
      { protocol: 'udp', localPort: await freePort(), nick: 'bob', port: 27015 },
      { protocol: 'udp', localPort: taken.port, nick: 'bob', port: 27015 },
    ],
  })
  await assert.rejects(forwarder.open(), (thrown) => {
    assert.ok(thrown instanceof Problem)
    assert.equal(thrown.code, 'port-taken')
    assert.ok(thrown.message.includes(`udp:${taken.port}=bob:27015`))
    assert.match(thrown.remedy, /choose another local port/)
    return true
  })
})

test('of two peers with one nickname the first linked is used, and an event reports it', async (context) => {
  const localPort = await freePort()
  const forwards = [{ protocol: 'udp', localPort, nick: 'bob', port: 27015 } as const]
  const { forwarder, events } = start(context, { forwards })
  await forwarder.open()
  const client = await program(context)
  const sent: string[] = []
  let wake = () => {}
  const sender = (id: string) =>
    linkTo(() => {
      sent.push(id)
      wake()
    })
  const next = () => new Promise<void>((resolve) => (wake = resolve))
  forwarder.attach({ id: '1', name: 'bob' }, sender('1'))
  forwarder.attach({ id: '2', name: 'bob' }, sender('2'))
  const first = next()
  client.send(localPort, 'x')
  await first
  forwarder.detach('1')
  const second = next()
  client.send(localPort, 'x')
  await second
  forwarder.detach('2')
  assert.deepEqual(sent, ['1', '2'])
  assert.deepEqual(events, [
    { type: 'listening', protocol: 'udp', localPort, nick: 'bob', port: 27015 },
    { type: 'forwarding', nick: 'bob', peerId: '1' },
    { type: 'ambiguous-nick', nick: 'bob', used: '1', unused: '2' },
    { type: 'forwarding', nick: 'bob', peerId: '2' },
    { type: 'forwarding', nick: 'bob', peerId: null },
  ])
})

test('a closed forwarder has no open ports and no timers', async (context) => {
  const game = await echo(context)
  const { alice, localPort } = await linkedPair(context, game.port)
  const client = await program(context)
  client.send(localPort, 'one')
  await client.received(1)
  await alice.forwarder.close()
  assert.equal(alice.clock.pendingTimers, 0)
  assert.equal((await program(context, localPort)).port, localPort)
})

test('a forward added while players are linked leads to them at once, and its port is closed when removed', async (context) => {
  const game = await echo(context)
  const { alice } = await linkedPair(context, game.port)
  const localPort = await freePort()
  const added = { protocol: 'udp', localPort, nick: 'bob', port: game.port } as const
  await alice.forwarder.add(added)
  assert.ok(alice.events.some((event) => event.type === 'listening' && event.localPort === localPort))
  const client = await program(context)
  client.send(localPort, 'one')
  assert.match((await client.received(1))[0] ?? '', /^one from /)
  await assert.rejects(alice.forwarder.add({ ...added }), { code: 'port-taken' })
  await alice.forwarder.remove(added)
  const again = createSocket('udp4')
  again.bind(localPort, '127.0.0.1')
  await once(again, 'listening')
  again.close()
})

test('the first forward to a nickname leads to the peer that was linked first under it', async (context) => {
  const { forwarder, events } = start(context, {})
  await forwarder.open()
  for (const id of ['first-id', 'second-id'])
    forwarder.attach(
      { id, name: 'bob' },
      linkTo(() => {}),
    )
  assert.deepEqual(events, [], 'there is no forward to bob yet')
  const forward = { protocol: 'udp', localPort: await freePort(), nick: 'bob', port: 7 } as const
  await forwarder.add(forward)
  assert.deepEqual(events.at(-1), { type: 'forwarding', nick: 'bob', peerId: 'first-id' })
  await forwarder.remove(forward)
  forwarder.detach('first-id')
  assert.equal(events.length, 2, 'there is no forward to bob any more')
})
