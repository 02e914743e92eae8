import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import type { Socket } from 'node:net'
import { type TestContext, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { encodeStreamFrame } from '../../src/forward/streams/stream-frame.ts'
import {
  failureOf,
  freeTcpPort,
  ids,
  type LinkConditions,
  Pair,
  pairWithGame,
  readAll,
  readBytes,
  refusalCode,
  tcpClient,
  tcpGame,
} from './pair.ts'

const timeout = 60_000

/** A client and its connection at the game. */
async function connected(context: TestContext, conditions: LinkConditions = {}) {
  const { game, pair, localPort } = await pairWithGame(context)
  pair.conditions = conditions
  const client = await tcpClient(context, localPort)
  const gameSocket = await game.nextConnection()
  return { game, pair, localPort, client, gameSocket }
}

function waitFor(holds: () => boolean): Promise<void> {
  return new Promise((resolve) => {
    const look = () => (holds() ? resolve() : void setTimeout(look, 5))
    look()
  })
}

test('a stream delivers all bytes in both directions over a lossy, slow, reordering link', {
  timeout,
}, async (context) => {
  const { client, gameSocket } = await connected(context, { loss: 0.05, delayMs: [5, 30] })
  const [there, back] = [randomBytes(700_000), randomBytes(300_000)]
  client.end(there)
  gameSocket.end(back)
  const [atGame, atClient] = await Promise.all([readAll(gameSocket), readAll(client)])
  assert.ok(atGame.equals(there))
  assert.ok(atClient.equals(back))
})

test('a client that ends its side still receives all data of the game', { timeout }, async (context) => {
  const { client, gameSocket } = await connected(context)
  client.end('question')
  assert.equal((await readAll(gameSocket)).toString(), 'question')
  const answer = randomBytes(200_000)
  gameSocket.end(answer)
  assert.ok((await readAll(client)).equals(answer))
})

test('a game that ends its side still receives all data of the client', { timeout }, async (context) => {
  const { client, gameSocket } = await connected(context)
  gameSocket.end('welcome')
  assert.equal((await readAll(client)).toString(), 'welcome')
  const written = randomBytes(200_000)
  client.end(written)
  assert.ok((await readAll(gameSocket)).equals(written))
})

test('a reset of one side resets the other', { timeout }, async (context) => {
  for (const whose of ['client', 'game'] as const) {
    const { client, gameSocket } = await connected(context, { loss: 0.2 })
    client.write('hello')
    await readBytes(gameSocket, 5)
    const [breaks, hears] = whose === 'client' ? [client, gameSocket] : [gameSocket, client]
    const heard = failureOf(hears)
    breaks.resetAndDestroy()
    assert.equal(await heard, 'ECONNRESET')
  }
})

test('what was sent before a reset still arrives', { timeout }, async (context) => {
  const { pair, client, gameSocket } = await connected(context, { loss: 0.1, delayMs: [20, 60] })
  const heard = failureOf(client)
  const parts: Buffer[] = []
  client.on('data', (part) => parts.push(part))
  const data = randomBytes(30_000)
  gameSocket.write(data)
  // The forwarder has accepted all bytes, and they are in transit.
  await waitFor(() => pair.sent.bytes > data.length)
  gameSocket.resetAndDestroy()
  assert.equal(await heard, 'ECONNRESET')
  assert.ok(Buffer.concat(parts).equals(data))
})

test('a port that is not exposed or has no listener soon resets the client', {
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
    assert.equal(await refusalCode(context, port), 'ECONNRESET')
  }
  assert.equal(hidden.waiting.length, 0)
  assert.equal(pair.bob.counts().notExposed, 1)
})

test('a port for friends is open only to friends', { timeout }, async (context) => {
  const { game, pair, localPort } = await pairWithGame(context, { friendsOnly: true })
  const client = await tcpClient(context, localPort)
  await game.nextConnection()
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
  const { pair, localPort } = await pairWithGame(context)
  pair.unlink()
  assert.equal(await refusalCode(context, localPort), 'ECONNRESET')
  assert.equal(pair.alice.counts().notLinked, 1)
})

test('when a peer loses its link, its streams are reset on both sides', { timeout }, async (context) => {
  const { pair, client, gameSocket } = await connected(context)
  client.write('hello')
  await readBytes(gameSocket, 5)
  const both = Promise.all([failureOf(client), failureOf(gameSocket)])
  pair.unlink()
  assert.deepEqual(await both, ['ECONNRESET', 'ECONNRESET'])
})

test('streams continue over a newer link', { timeout }, async (context) => {
  const { pair, client, gameSocket } = await connected(context, { delayMs: [5, 20] })
  const there = randomBytes(400_000)
  client.end(there)
  const reading = readAll(gameSocket)
  await waitFor(() => gameSocket.bytesRead > 50_000)
  pair.conditions = { loss: 1 }
  const before = pair.sent.packets
  await waitFor(() => pair.sent.packets > before + 10)
  pair.conditions = { delayMs: [1, 5] }
  pair.link()
  assert.ok((await reading).equals(there))
})

test('a peer that no longer knows a stream ends it for the other side', { timeout }, async (context) => {
  const { pair, client, gameSocket } = await connected(context)
  client.write('hello')
  await readBytes(gameSocket, 5)
  pair.conditions = { loss: 1 }
  pair.alice.detach(ids.bob)
  pair.conditions = {}
  pair.link()
  gameSocket.write('are you there?')
  assert.equal(await failureOf(gameSocket), 'ECONNRESET')
})

test('a slow reader makes the writer wait, and finally gets all data', { timeout }, async (context) => {
  for (const whoReads of ['client', 'game'] as const) {
    const { pair, client, gameSocket } = await connected(context)
    const [writer, reader] = whoReads === 'game' ? [client, gameSocket] : [gameSocket, client]
    const total = 48 * 1024 * 1024
    const block = randomBytes(65_536)
    let written = 0
    const writing = (async () => {
      for (; written < total; written += block.length) if (!writer.write(block)) await once(writer, 'drain')
      writer.end()
    })()
    // The reader does not read, so all buffers between the two fill up and nothing moves.
    let before = -1
    while (before !== pair.sent.bytes || written === 0) {
      before = pair.sent.bytes
      await new Promise((resolve) => setTimeout(resolve, 400))
    }
    assert.ok(written < 32 * 1024 * 1024, `${written} bytes were accepted while the reader did not read`)
    assert.ok(
      pair.sent.bytes < 16 * 1024 * 1024,
      `${pair.sent.bytes} bytes were sent while the reader did not read`,
    )
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

test('of many streams at once, each delivers its own data', { timeout }, async (context) => {
  const { game, pair, localPort } = await pairWithGame(context)
  pair.conditions = { delayMs: [1, 10], loss: 0.01 }
  game.server.on('connection', (gameSocket: Socket) => gameSocket.pipe(gameSocket))
  const exchangeData = async () => {
    const client = await tcpClient(context, localPort)
    const data = randomBytes(20_000)
    client.end(data)
    assert.ok((await readAll(client)).equals(data))
  }
  // At most as many at once as the limit on open requests allows.
  for (const _round of [1, 2]) await Promise.all(Array.from({ length: 50 }, exchangeData))
})

test('a peer that opens too many streams is refused, and its streams end when it is gone', {
  timeout,
}, async (context) => {
  const { game, pair } = await pairWithGame(context)
  const answers = { opened: 0, refused: 0 }
  const count = (bytes: Uint8Array) => void (bytes[0] === 6 ? answers.opened++ : answers.refused++)
  pair.bob.attach({ id: ids.carol, name: 'carol' }, { send: count, maxUnfragmentedBytes: () => 1408 })
  for (let number = 0; number < 500; number++) {
    const frame = encodeStreamFrame({ kind: 'open', number, port: game.port, seq: 0 })
    pair.bob.handleDatagram(ids.carol, frame)
  }
  await waitFor(() => answers.opened === 128 && game.waiting.length === 128)
  assert.equal(answers.refused, 372)
  const closed = game.waiting.map((gameSocket) => failureOf(gameSocket))
  pair.bob.detach(ids.carol)
  await Promise.all(closed)
})

test('a game that listens only on ::1 is reached, and a client on ::1 is served', {
  timeout,
}, async (context) => {
  const { game, localPort } = await pairWithGame(context, { address: '::1' })
  const client = await tcpClient(context, localPort, '::1')
  client.end('over IPv6 loopback')
  assert.equal((await readAll(await game.nextConnection())).toString(), 'over IPv6 loopback')
})

test('each peer has its own address at the game, the same for all its streams', {
  timeout,
}, async (context) => {
  const { game, pair, localPort } = await pairWithGame(context)
  await tcpClient(context, localPort)
  await tcpClient(context, localPort)
  const own = [await game.nextConnection(), await game.nextConnection()].map(
    (gameSocket) => gameSocket.remoteAddress,
  )
  pair.bob.attach({ id: ids.carol, name: 'carol' }, { send: () => {}, maxUnfragmentedBytes: () => 1408 })
  pair.bob.handleDatagram(ids.carol, encodeStreamFrame({ kind: 'open', number: 1, port: game.port, seq: 1 }))
  const carolAddress = (await game.nextConnection()).remoteAddress
  assert.equal(own[0], own[1])
  assert.notEqual(own[0], carolAddress)
  if (process.platform === 'linux')
    for (const address of [own[0], carolAddress])
      assert.match(address ?? '', /^127\.(6[4-9]|[7-9]\d|1[01]\d|12[0-7])\./)
})

test('an error for a local TCP port in use names the port and suggests another', {
  timeout,
}, async (context) => {
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

test('a closed forwarder has reset its clients and closed its ports', { timeout }, async (context) => {
  const { pair, localPort, client, gameSocket } = await connected(context)
  client.write('hello')
  await readBytes(gameSocket, 5)
  const heard = failureOf(client)
  await pair.alice.close()
  assert.equal(await heard, 'ECONNRESET')
  await tcpGame(context, '127.0.0.1', localPort)
})

test('a TCP forward can be added later, and its connections continue after it was removed', async (context) => {
  const game = await tcpGame(context)
  const pair = new Pair(context, [{ protocol: 'tcp', port: game.port, friendsOnly: false }], [])
  await pair.open()
  const added = { protocol: 'tcp', localPort: await freeTcpPort(), nick: 'bob', port: game.port } as const
  await pair.alice.add(added)
  const client = await tcpClient(context, added.localPort)
  const gameSocket = await game.nextConnection()
  await pair.alice.remove(added)
  gameSocket.write('still here')
  const [bytes] = (await once(client, 'data')) as [Buffer]
  assert.equal(bytes.toString(), 'still here')
  await assert.rejects(tcpClient(context, added.localPort), { code: 'ECONNREFUSED' })
})
