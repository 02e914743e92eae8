import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { encodeStreamFrame } from '../../src/forward/streams/stream-frame.ts'
import {
  broken,
  freeTcpPort,
  ids,
  Pair,
  type PipeWeather,
  playedPair,
  readAll,
  readBytes,
  refusalAt,
  tcpClient,
  tcpGame,
} from './pair.ts'

const timeout = 60_000

/** A client and its opposite at the game. */
async function connected(context: TestContext, weather: PipeWeather = {}) {
  const { game, pair, localPort } = await playedPair(context)
  pair.weather = weather
  const client = await tcpClient(context, localPort)
  const guest = await game.guest()
  return { game, pair, localPort, client, guest }
}

function waitFor(holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => (holds() ? resolve() : void setTimeout(look, 5))
    look()
  })
}

test('bytes in are bytes out, both ways at once, over a lossy, slow, reordering pipe', {
  timeout,
}, async (context) => {
  const { client, guest } = await connected(context, { loss: 0.05, delayMs: [5, 30] })
  const [there, back] = [randomBytes(700_000), randomBytes(300_000)]
  client.end(there)
  guest.end(back)
  const [atGame, atClient] = await Promise.all([readAll(guest), readAll(client)])
  assert.ok(atGame.equals(there))
  assert.ok(atClient.equals(back))
})

test('a client that closes its half still hears the game to the end', { timeout }, async (context) => {
  const { client, guest } = await connected(context)
  client.end('question')
  assert.equal((await readAll(guest)).toString(), 'question')
  const answer = randomBytes(200_000)
  guest.end(answer)
  assert.ok((await readAll(client)).equals(answer))
})

test('a game that closes its half still hears the client to the end', { timeout }, async (context) => {
  const { client, guest } = await connected(context)
  guest.end('welcome')
  assert.equal((await readAll(client)).toString(), 'welcome')
  const written = randomBytes(200_000)
  client.end(written)
  assert.ok((await readAll(guest)).equals(written))
})

test('a reset of one side is a reset of the other', { timeout }, async (context) => {
  for (const whose of ['client', 'game'] as const) {
    const { client, guest } = await connected(context, { loss: 0.2 })
    client.write('hello')
    await readBytes(guest, 5)
    const [breaks, hears] = whose === 'client' ? [client, guest] : [guest, client]
    const heard = broken(hears)
    breaks.resetAndDestroy()
    assert.equal(await heard, 'ECONNRESET')
  }
})

test('what was sent before a reset still arrives', { timeout }, async (context) => {
  const { pair, client, guest } = await connected(context, { loss: 0.1, delayMs: [20, 60] })
  const heard = broken(client)
  const parts: Buffer[] = []
  client.on('data', (part) => parts.push(part))
  const words = randomBytes(30_000)
  guest.write(words)
  // The agent has taken them all, and they are on their way.
  await waitFor(() => pair.sent.bytes > words.length)
  guest.resetAndDestroy()
  assert.equal(await heard, 'ECONNRESET')
  assert.ok(Buffer.concat(parts).equals(words))
})

test('a port that is not exposed, or where nobody listens, resets the client soon', {
  timeout,
}, async (context) => {
  const [hidden, silent] = [await tcpGame(context), await freeTcpPort()]
  const [toHidden, toSilent] = [await freeTcpPort(), await freeTcpPort()]
  const pair = new Pair(
    context,
    [{ protocol: 'tcp', port: silent, friendsOnly: false }],
    [
      { protocol: 'tcp', localPort: toHidden, nick: 'bob', port: hidden.port },
      { protocol: 'tcp', localPort: toSilent, nick: 'bob', port: silent },
    ],
  )
  await pair.open()
  for (const port of [toHidden, toSilent]) {
    assert.equal(await refusalAt(context, port), 'ECONNRESET')
  }
  assert.equal(hidden.connectionLimit.length, 0)
  assert.equal(pair.bob.counts().notExposed, 1)
})

test('a port for friends is open to them and to nobody else', { timeout }, async (context) => {
  const { game, pair, localPort } = await playedPair(context, { friendsOnly: true })
  const client = await tcpClient(context, localPort)
  await game.guest()
  client.destroy()
  const answers: Uint8Array[] = []
  pair.bob.attach(
    { id: ids.carol, name: 'carol' },
    { send: (bytes) => void answers.push(bytes), maxUnfragmentedBytes: () => 1408 },
  )
  pair.bob.handleDatagram(ids.carol, encodeStreamFrame({ kind: 'open', number: 1, port: game.port, seq: 1 }))
  assert.deepEqual(answers, [
    encodeStreamFrame({ kind: 'end', towards: 'forwarding', number: 1, reason: 'not-exposed' }),
  ])
})

test('a client without a linked peer is reset at once', { timeout }, async (context) => {
  const { pair, localPort } = await playedPair(context)
  pair.unlink()
  assert.equal(await refusalAt(context, localPort), 'ECONNRESET')
  assert.equal(pair.alice.counts().notLinked, 1)
})

test('when a peer is gone its streams end with a reset on both sides', { timeout }, async (context) => {
  const { pair, client, guest } = await connected(context)
  client.write('hello')
  await readBytes(guest, 5)
  const both = Promise.all([broken(client), broken(guest)])
  pair.unlink()
  assert.deepEqual(await both, ['ECONNRESET', 'ECONNRESET'])
})

test('streams go on when a newer link takes over', { timeout }, async (context) => {
  const { pair, client, guest } = await connected(context, { delayMs: [5, 20] })
  const there = randomBytes(400_000)
  client.end(there)
  const reading = readAll(guest)
  await waitFor(() => guest.bytesRead > 50_000)
  pair.weather = { loss: 1 }
  const before = pair.sent.packets
  await waitFor(() => pair.sent.packets > before + 10)
  pair.weather = { delayMs: [1, 5] }
  pair.link()
  assert.ok((await reading).equals(there))
})

test('a peer that knows nothing of a stream any more ends it for the other', { timeout }, async (context) => {
  const { pair, client, guest } = await connected(context)
  client.write('hello')
  await readBytes(guest, 5)
  pair.weather = { loss: 1 }
  pair.alice.detach(ids.bob)
  pair.weather = {}
  pair.link()
  guest.write('are you there?')
  assert.equal(await broken(guest), 'ECONNRESET')
})

test('a slow reader stops the writer, and both get everything in the end', { timeout }, async (context) => {
  for (const whoReads of ['client', 'game'] as const) {
    const { pair, client, guest } = await connected(context)
    const [writer, reader] = whoReads === 'game' ? [client, guest] : [guest, client]
    const total = 48 * 1024 * 1024
    const block = randomBytes(65_536)
    let written = 0
    const writing = (async () => {
      for (; written < total; written += block.length) if (!writer.write(block)) await once(writer, 'drain')
      writer.end()
    })()
    // Nobody reads: everything between the two fills up and then stands still.
    let before = -1
    while (before !== pair.sent.bytes || written === 0) {
      before = pair.sent.bytes
      await new Promise((resolve) => setTimeout(resolve, 400))
    }
    assert.ok(written < 32 * 1024 * 1024, `${written} bytes were taken while nobody read`)
    assert.ok(pair.sent.bytes < 16 * 1024 * 1024, `${pair.sent.bytes} bytes were sent while nobody read`)
    let read = 0
    for await (const part of reader) {
      assert.ok((part as Buffer).equals(slice(block, read, (part as Buffer).length)))
      read += (part as Buffer).length
    }
    await writing
    assert.equal(read, total)
  }
})

function slice(block: Buffer, at: number, length: number): Buffer {
  const parts: Buffer[] = []
  for (let from = at, left = length; left > 0; ) {
    const part = block.subarray(from % block.length, (from % block.length) + left)
    parts.push(part)
    from += part.length
    left -= part.length
  }
  return Buffer.concat(parts)
}

test('a hundred streams at once each carry their own', { timeout }, async (context) => {
  const { game, pair, localPort } = await playedPair(context)
  pair.weather = { delayMs: [1, 10], loss: 0.01 }
  game.server.on('connection', (guest: Socket) => guest.pipe(guest))
  const talk = async () => {
    const client = await tcpClient(context, localPort)
    const words = randomBytes(20_000)
    client.end(words)
    assert.ok((await readAll(client)).equals(words))
  }
  // Not more at once than the bound on opening lets through.
  for (const _round of [1, 2]) await Promise.all(Array.from({ length: 50 }, talk))
})

test('a peer that opens more streams than it may is refused, and memory is given back', {
  timeout,
}, async (context) => {
  const { game, pair } = await playedPair(context)
  const answers = { opened: 0, refused: 0 }
  const count = (bytes: Uint8Array) => void (bytes[0] === 6 ? answers.opened++ : answers.refused++)
  pair.bob.attach({ id: ids.carol, name: 'carol' }, { send: count, maxUnfragmentedBytes: () => 1408 })
  for (let number = 0; number < 500; number++) {
    const frame = encodeStreamFrame({ kind: 'open', number, port: game.port, seq: 0 })
    pair.bob.handleDatagram(ids.carol, frame)
  }
  await waitFor(() => answers.opened === 128 && game.connectionLimit.length === 128)
  assert.equal(answers.refused, 372)
  const closed = game.connectionLimit.map((guest) => broken(guest))
  pair.bob.detach(ids.carol)
  await Promise.all(closed)
})

test('a game that listens on ::1 only is reached, and a client of ::1 is served', {
  timeout,
}, async (context) => {
  const { game, localPort } = await playedPair(context, { address: '::1' })
  const client = await tcpClient(context, localPort, '::1')
  client.end('over IPv6 loopback')
  assert.equal((await readAll(await game.guest())).toString(), 'over IPv6 loopback')
})

test('each peer has an address of its own at the game, the same for all its streams', {
  timeout,
}, async (context) => {
  const { game, pair, localPort } = await playedPair(context)
  await tcpClient(context, localPort)
  await tcpClient(context, localPort)
  const own = [await game.guest(), await game.guest()].map((guest) => guest.remoteAddress)
  pair.bob.attach({ id: ids.carol, name: 'carol' }, { send: () => {}, maxUnfragmentedBytes: () => 1408 })
  pair.bob.handleDatagram(ids.carol, encodeStreamFrame({ kind: 'open', number: 1, port: game.port, seq: 1 }))
  const carols = (await game.guest()).remoteAddress
  assert.equal(own[0], own[1])
  assert.notEqual(own[0], carols)
  if (process.platform === 'linux')
    for (const address of [own[0], carols])
      assert.match(address ?? '', /^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./)
})

test('a local TCP port that is taken is named, with another one to try', { timeout }, async (context) => {
  const taken = await tcpGame(context)
  const pair = new Pair(context, [], [{ protocol: 'tcp', localPort: taken.port, nick: 'bob', port: 80 }])
  await assert.rejects(pair.open(), (thrown) => {
    assert.ok(thrown instanceof Problem)
    assert.equal(thrown.code, 'port-taken')
    assert.ok(thrown.message.includes(`--forward tcp:${taken.port}=bob:80`))
    assert.match(thrown.remedy, /choose another local port/)
    return true
  })
})

test('a closed forwarder has reset its clients and freed its ports', { timeout }, async (context) => {
  const { pair, localPort, client, guest } = await connected(context)
  client.write('hello')
  await readBytes(guest, 5)
  const heard = broken(client)
  await pair.alice.close()
  assert.equal(await heard, 'ECONNRESET')
  await tcpGame(context, '127.0.0.1', localPort)
})

test('a TCP forward can be added later, and what it connected goes on after it was removed', async (context) => {
  const game = await tcpGame(context)
  const pair = new Pair(context, [{ protocol: 'tcp', port: game.port, friendsOnly: false }], [])
  await pair.open()
  const added = { protocol: 'tcp', localPort: await freeTcpPort(), nick: 'bob', port: game.port } as const
  await pair.alice.add(added)
  const client = await tcpClient(context, added.localPort)
  const guest = await game.guest()
  await pair.alice.remove(added)
  guest.write('still here')
  const [bytes] = (await once(client, 'data')) as [Buffer]
  assert.equal(bytes.toString(), 'still here')
  await assert.rejects(tcpClient(context, added.localPort), { code: 'ECONNREFUSED' })
})
