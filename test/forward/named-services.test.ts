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
import { ids, Pair, type PipeWeather } from './pair.ts'

const timeout = 60_000

/** Alice and Bob, linked; what comes to Bob's channel `state`. */
async function linked(context: TestContext, friendsOnly = false) {
  const pair = new Pair(context, [], [])
  const got: string[] = []
  const handle = (peerId: string, bytes: Uint8Array) => void got.push(`${peerId} ${Buffer.from(bytes)}`)
  const close = pair.namedServices.openChannel('state', { handle, friendsOnly })
  await pair.open()
  return { pair, got, close }
}

/** A stream from Alice to Bob's `chat`, and its end at Bob's. */
async function joined(context: TestContext, weather: PipeWeather = {}) {
  const pair = new Pair(context, [], [])
  const came = Promise.withResolvers<Duplex>()
  const handle = (_peerId: string, stream: Duplex) => came.resolve(stream)
  pair.namedServices.openStreams('chat', { handle, friendsOnly: false })
  await pair.open()
  pair.weather = weather
  const alices = await pair.alice.openStream(ids.bob, 'chat')
  return { pair, alices, bobs: await came.promise }
}

const refusedAs = (pattern: RegExp) => (thrown: unknown) =>
  thrown instanceof Problem && thrown.code === 'peer' && pattern.test(thrown.message)

test('a datagram comes to the channel that the program opened, and to no other', async (context) => {
  const { pair, got, close } = await linked(context)
  for (const [channel, word] of [
    ['state', 'one'],
    ['State', 'two'],
    ['stat', 'three'],
    ['state', 'four'],
  ] as const)
    assert.equal(pair.alice.sendTo(ids.bob, channel, utf8(word)), true)
  await turn()
  await turn()
  assert.deepEqual(got, [`${ids.alice} one`, `${ids.alice} four`])
  assert.equal(pair.bob.counts().notExposed, 2)
  close()
  pair.alice.sendTo(ids.bob, 'state', utf8('five'))
  await turn()
  await turn()
  assert.equal(got.length, 2)
  assert.equal(pair.bob.counts().notExposed, 3)
})

test('a channel for friends is closed to everybody else', async (context) => {
  const { pair, got } = await linked(context, true)
  const frame = encodeNamedFrame({ name: 'state', payload: utf8('hi') })
  pair.bob.handleDatagram(ids.carol, frame)
  assert.deepEqual(got, [])
  pair.bob.handleDatagram(ids.alice, frame)
  assert.deepEqual(got, [`${ids.alice} hi`])
})

test('nothing goes to a peer that is not linked', async (context) => {
  const { pair } = await linked(context)
  assert.equal(pair.alice.sendTo(ids.carol, 'state', utf8('hi')), false)
  await assert.rejects(pair.alice.openStream(ids.carol, 'chat'), refusedAs(/no connection/))
  pair.unlink()
  assert.equal(pair.alice.sendTo(ids.bob, 'state', utf8('hi')), false)
  await assert.rejects(pair.alice.openStream(ids.bob, 'chat'), refusedAs(/no connection/))
})

test('bytes in are bytes out, both ways at once, over a lossy, slow, reordering pipe', {
  timeout,
}, async (context) => {
  const { alices, bobs } = await joined(context, { loss: 0.05, delayMs: [5, 30] })
  const [there, back] = [randomBytes(700_000), randomBytes(300_000)]
  alices.end(there)
  bobs.end(back)
  const [atBob, atAlice] = await Promise.all([buffer(bobs), buffer(alices)])
  assert.ok(atBob.equals(there))
  assert.ok(atAlice.equals(back))
})

test('bytes may be used again as soon as they are written', { timeout }, async (context) => {
  const { alices, bobs } = await joined(context, { loss: 0.2 })
  const bytes = new Uint8Array(1_000)
  for (let i = 1; i <= 100; i++) {
    bytes.fill(i)
    await new Promise((resolve) => alices.write(bytes, resolve))
  }
  alices.end()
  const all = await buffer(bobs)
  for (let i = 0; i < all.length; i++) assert.equal(all[i], Math.floor(i / 1_000) + 1)
  assert.equal(all.length, 100_000)
})

test('who does not read makes the other wait, and nothing is held without bound', {
  timeout,
}, async (context) => {
  const { alices, bobs } = await joined(context)
  let written = 0
  const chunk = randomBytes(32_768)
  while (alices.write(chunk)) written += chunk.length
  let isDrained = false
  alices.on('drain', () => {
    isDrained = true
    while (written < 4_000_000 && alices.write(chunk)) written += chunk.length
    isDrained = false
  })
  // A datagram each way takes some turns: when nothing has moved for so many, nothing will.
  for (let before = -1; before !== written; ) {
    before = written
    for (let i = 0; i < 2_000; i++) await turn()
  }
  assert.equal(isDrained, false)
  assert.ok(written < 1_000_000, `${written} bytes were taken though nobody read`)
  bobs.resume()
  await once(alices, 'drain')
})

test('an end that is destroyed, and a link that breaks, end the other end without an error event', {
  timeout,
}, async (context) => {
  const { pair, alices, bobs } = await joined(context)
  bobs.resume()
  alices.destroy()
  await once(bobs, 'close')
  assert.equal(bobs.readableEnded, false)

  const again = await pair.alice.openStream(ids.bob, 'chat')
  const closed = new Promise<unknown>((resolve) => finished(again, resolve))
  pair.unlink()
  again.resume()
  assert.equal(((await closed) as NodeJS.ErrnoException).code, 'ERR_STREAM_PREMATURE_CLOSE')
})

test('a name that is not open is refused, and so is more than a peer may open', {
  timeout,
}, async (context) => {
  const { pair } = await joined(context)
  await assert.rejects(pair.alice.openStream(ids.bob, 'chess'), refusedAs(/accepts no streams to "chess"/))
  assert.equal(pair.bob.counts().notExposed, 1)
  for (let i = 1; i < maxStreamsPerPeer; i++) await pair.alice.openStream(ids.bob, 'chat')
  await assert.rejects(pair.alice.openStream(ids.bob, 'chat'), refusedAs(/too many/))
})

test('streams for friends are closed to everybody else', { timeout }, async (context) => {
  const pair = new Pair(context, [], [])
  const from: string[] = []
  const handle = (peerId: string) => void from.push(peerId)
  pair.namedServices.openStreams('chat', { handle, friendsOnly: true })
  await pair.open()
  const wish = encodeStreamFrame({ kind: 'open-named', number: 1, name: 'chat', seq: 1 })
  pair.bob.handleDatagram(ids.carol, wish)
  pair.bob.handleDatagram(ids.alice, wish)
  assert.deepEqual(from, [ids.alice])
})

test('a name may be opened while linked', { timeout }, async (context) => {
  const pair = new Pair(context, [], [])
  await pair.open()
  const came = Promise.withResolvers<Duplex>()
  pair.namedServices.openStreams('late', { handle: (_, stream) => came.resolve(stream), friendsOnly: false })
  const stream = await pair.alice.openStream(ids.bob, 'late')
  stream.end('hello')
  assert.equal((await buffer(await came.promise)).toString(), 'hello')
})

test('names are checked, and there are not too many of them', () => {
  const namedServices = new NamedServices()
  const door = { handle: () => {}, friendsOnly: false }
  for (const name of ['', 'a b', 'ä', 'n'.repeat(33)])
    assert.throws(() => namedServices.openChannel(name, door), /is not a valid name/)
  for (let i = 0; i < maxServices; i++) namedServices.openChannel(`c${i}`, door)
  assert.throws(() => namedServices.openChannel('c0', door), /already open/)
  assert.throws(() => namedServices.openChannel('more', door), /names are already open/)
})
