// Programs that reach each other by name, over links and without ports.

import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { type Duplex, finished } from 'node:stream'
import { buffer } from 'node:stream/consumers'
import { type TestContext, test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { utf8 } from '../../src/base/bytes.ts'
import { Problem } from '../../src/base/problem.ts'
import { maxServices, NamedServices } from '../../src/forward/named-services.ts'
import { maxStreamsPerPeer } from '../../src/forward/streams/stream-budget.ts'
import { encodeStreamFrame } from '../../src/forward/streams/stream-frame.ts'
import { encodeNamedFrame } from '../../src/forward/udp/named-channel-frame.ts'
import { ids, type LinkConditions, Pair } from './pair.ts'

const timeout = 60_000

/** Alice and Bob, linked, and the datagrams of Bob's channel `state`. */
async function linked(context: TestContext, friendsOnly = false) {
  const pair = new Pair(context, [], [])
  const received: string[] = []
  const handle = (peerId: string, bytes: Uint8Array) => void received.push(`${peerId} ${Buffer.from(bytes)}`)
  const close = pair.namedServices.openChannel('state', { handle, friendsOnly })
  await pair.open()
  return { pair, received, close }
}

/** A stream from Alice to Bob's `chat`: both ends. */
async function connected(context: TestContext, conditions: LinkConditions = {}) {
  const pair = new Pair(context, [], [])
  const opened = Promise.withResolvers<Duplex>()
  const handle = (_peerId: string, stream: Duplex) => opened.resolve(stream)
  pair.namedServices.openStreams('chat', { handle, friendsOnly: false })
  await pair.open()
  pair.conditions = conditions
  const aliceStream = await pair.alice.openStream(ids.bob, 'chat')
  return { pair, aliceStream, bobStream: await opened.promise }
}

const refusedAs = (pattern: RegExp) => (thrown: unknown) =>
  thrown instanceof Problem && thrown.code === 'peer' && pattern.test(thrown.message)

test('a datagram reaches only the channel that the program opened', async (context) => {
  const { pair, received, close } = await linked(context)
  for (const [channel, word] of [
    ['state', 'one'],
    ['State', 'two'],
    ['stat', 'three'],
    ['state', 'four'],
  ] as const)
    assert.equal(pair.alice.sendTo(ids.bob, channel, utf8(word)), true)
  await turn()
  await turn()
  assert.deepEqual(received, [`${ids.alice} one`, `${ids.alice} four`])
  assert.equal(pair.bob.counts().notExposed, 2)
  close()
  pair.alice.sendTo(ids.bob, 'state', utf8('five'))
  await turn()
  await turn()
  assert.equal(received.length, 2)
  assert.equal(pair.bob.counts().notExposed, 3)
})

test('a channel for friends is open only to friends', async (context) => {
  const { pair, received } = await linked(context, true)
  const frame = encodeNamedFrame({ name: 'state', payload: utf8('hi') })
  pair.bob.handleDatagram(ids.carol, frame)
  assert.deepEqual(received, [])
  pair.bob.handleDatagram(ids.alice, frame)
  assert.deepEqual(received, [`${ids.alice} hi`])
})

test('nothing is sent to a peer that is not linked', async (context) => {
  const { pair } = await linked(context)
  assert.equal(pair.alice.sendTo(ids.carol, 'state', utf8('hi')), false)
  await assert.rejects(pair.alice.openStream(ids.carol, 'chat'), refusedAs(/no connection/))
  pair.unlink()
  assert.equal(pair.alice.sendTo(ids.bob, 'state', utf8('hi')), false)
  await assert.rejects(pair.alice.openStream(ids.bob, 'chat'), refusedAs(/no connection/))
})

test('a stream delivers all bytes in both directions over a lossy, slow, reordering link', {
  timeout,
}, async (context) => {
  const { aliceStream, bobStream } = await connected(context, { loss: 0.05, delayMs: [5, 30] })
  const [there, back] = [randomBytes(700_000), randomBytes(300_000)]
  aliceStream.end(there)
  bobStream.end(back)
  const [atBob, atAlice] = await Promise.all([buffer(bobStream), buffer(aliceStream)])
  assert.ok(atBob.equals(there))
  assert.ok(atAlice.equals(back))
})

test('a buffer may be reused as soon as it is written', { timeout }, async (context) => {
  const { aliceStream, bobStream } = await connected(context, { loss: 0.2 })
  const bytes = new Uint8Array(1_000)
  for (let i = 1; i <= 100; i++) {
    bytes.fill(i)
    await new Promise((resolve) => aliceStream.write(bytes, resolve))
  }
  aliceStream.end()
  const all = await buffer(bobStream)
  for (let i = 0; i < all.length; i++) assert.equal(all[i], Math.floor(i / 1_000) + 1)
  assert.equal(all.length, 100_000)
})

test('a side that does not read makes the writer wait, and buffers are bounded', {
  timeout,
}, async (context) => {
  const { aliceStream, bobStream } = await connected(context)
  let written = 0
  const chunk = randomBytes(32_768)
  while (aliceStream.write(chunk)) written += chunk.length
  let isDrained = false
  aliceStream.on('drain', () => {
    isDrained = true
    while (written < 4_000_000 && aliceStream.write(chunk)) written += chunk.length
    isDrained = false
  })
  // A round trip takes some event-loop turns. When nothing has moved for 2,000 turns, nothing will.
  for (let before = -1; before !== written; ) {
    before = written
    for (let i = 0; i < 2_000; i++) await turn()
  }
  assert.equal(isDrained, false)
  assert.ok(written < 1_000_000, `${written} bytes were accepted though the other side did not read`)
  bobStream.resume()
  await once(aliceStream, 'drain')
})

test('a destroyed end and a lost link close the other end without an error event', {
  timeout,
}, async (context) => {
  const { pair, aliceStream, bobStream } = await connected(context)
  bobStream.resume()
  aliceStream.destroy()
  await once(bobStream, 'close')
  assert.equal(bobStream.readableEnded, false)

  const again = await pair.alice.openStream(ids.bob, 'chat')
  const closed = new Promise<unknown>((resolve) => finished(again, resolve))
  pair.unlink()
  again.resume()
  assert.equal(((await closed) as NodeJS.ErrnoException).code, 'ERR_STREAM_PREMATURE_CLOSE')
})

test('a name that is not open is refused, and so are too many streams', {
  timeout,
}, async (context) => {
  const { pair } = await connected(context)
  await assert.rejects(pair.alice.openStream(ids.bob, 'chess'), refusedAs(/accepts no streams to "chess"/))
  assert.equal(pair.bob.counts().notExposed, 1)
  for (let i = 1; i < maxStreamsPerPeer; i++) await pair.alice.openStream(ids.bob, 'chat')
  await assert.rejects(pair.alice.openStream(ids.bob, 'chat'), refusedAs(/too many/))
})

test('streams for friends are open only to friends', { timeout }, async (context) => {
  const pair = new Pair(context, [], [])
  const from: string[] = []
  const handle = (peerId: string) => void from.push(peerId)
  pair.namedServices.openStreams('chat', { handle, friendsOnly: true })
  await pair.open()
  const openFrame = encodeStreamFrame({ kind: 'open-named', number: 1, name: 'chat', seq: 1 })
  pair.bob.handleDatagram(ids.carol, openFrame)
  pair.bob.handleDatagram(ids.alice, openFrame)
  assert.deepEqual(from, [ids.alice])
})

test('a name can be opened while peers are linked', { timeout }, async (context) => {
  const pair = new Pair(context, [], [])
  await pair.open()
  const opened = Promise.withResolvers<Duplex>()
  pair.namedServices.openStreams('late', {
    handle: (_, stream) => opened.resolve(stream),
    friendsOnly: false,
  })
  const stream = await pair.alice.openStream(ids.bob, 'late')
  stream.end('hello')
  assert.equal((await buffer(await opened.promise)).toString(), 'hello')
})

test('names are checked, and their number is limited', () => {
  const namedServices = new NamedServices()
  const service = { handle: () => {}, friendsOnly: false }
  for (const name of ['', 'a b', 'ä', 'n'.repeat(33)])
    assert.throws(() => namedServices.openChannel(name, service), /is not a valid name/)
  for (let i = 0; i < maxServices; i++) namedServices.openChannel(`c${i}`, service)
  assert.throws(() => namedServices.openChannel('c0', service), /already open/)
  assert.throws(() => namedServices.openChannel('more', service), /names are already open/)
})
