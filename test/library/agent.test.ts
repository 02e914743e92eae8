// The library as a program uses it: real host, real mail, real links on loopback.

import assert from 'node:assert/strict'
import { once } from 'node:events'
import { existsSync, statSync } from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { buffer, text } from 'node:stream/consumers'
import { test } from 'node:test'
import { Agent, type Peer, Problem } from 'peerpost'
import { readInvite } from '../../src/letter/invite.ts'
import { deferIn } from '../harness/defer.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { Village } from './village.ts'

const timeout = 120_000

/** Both started and connected, each with the other as a Peer. */
async function meet(one: Agent, other: Agent): Promise<readonly [Peer, Peer]> {
  const [met, alsoMet] = [once(one, 'connected'), once(other, 'connected')]
  await one.start()
  await other.start()
  const [[seenByOne], [seenByOther]] = await Promise.all([met, alsoMet])
  return [seenByOne.peer, seenByOther.peer]
}

test('two programs meet by mail and exchange datagrams and streams without any port', {
  timeout,
}, async (context) => {
  const village = await Village.open(deferIn(context))
  const anna = await village.agent('anna')
  const ben = await village.agent('ben')
  const heard = new Promise<readonly [string, string]>((resolve) => {
    ben.onDatagram('state', (bytes, peer) => resolve([peer.name, Buffer.from(bytes).toString()]))
  })
  ben.onStream('echo', (stream) => void stream.pipe(stream))
  const [ben_, anna_] = await meet(anna, ben)
  assert.deepEqual([ben_.name, anna_.name], ['ben', 'anna'])
  assert.deepEqual(anna.peers, [ben_])

  assert.equal(ben_.send('state', 'here I am'), true)
  assert.deepEqual(await heard, ['anna', 'here I am'])

  const stream = await ben_.openStream('echo')
  const bytes = Buffer.alloc(300_000, 'echo')
  stream.end(bytes)
  assert.ok((await buffer(stream)).equals(bytes))

  const status = anna.status()
  assert.equal(status.state, 'joined')
  const [peer] = status.peers
  assert.deepEqual([peer?.id, peer?.state], [ben_.id, 'linked'])
  assert.equal(ben.status().id, ben_.id)
  while (ben_.roundTripMs === null) await once(anna, 'event')
  assert.ok(ben_.roundTripMs < 5_000)
  assert.equal(village.host.counters?.letters['request accepted'], 2)

  const [left] = await Promise.all([once(anna, 'disconnected'), ben.stop()])
  assert.equal(left[0].peer, ben_)
  assert.deepEqual(anna.peers, [])
  assert.equal(ben_.send('state', 'still there?'), false)
  await assert.rejects(
    ben_.openStream('echo'),
    (thrown) => thrown instanceof Problem && thrown.code === 'peer',
  )
  assert.deepEqual(ben.peers, [])
})

test('nothing is reachable that the program did not open, nor what it closed again', {
  timeout,
}, async (context) => {
  const village = await Village.open(deferIn(context))
  const anna = await village.agent('anna')
  const ben = await village.agent('ben')
  const got: string[] = []
  const note = (bytes: Uint8Array) => void got.push(Buffer.from(bytes).toString())
  ben.onDatagram('friends', note, { friendsOnly: true })
  ben.onStream('friends', () => got.push('stream'), { friendsOnly: true })
  const close = ben.onDatagram('shut', note)
  const [ben_] = await meet(anna, ben)
  close()
  for (const channel of ['friends', 'shut', 'nothing']) assert.equal(ben_.send(channel, channel), true)
  for (const name of ['friends', 'nothing'])
    await assert.rejects(ben_.openStream(name), {
      code: 'peer',
      message: new RegExp(`no streams to "${name}"`),
    })
  ben.onDatagram('last', note)
  const last = new Promise<void>((resolve) => ben.onDatagram('end', () => resolve()))
  ben_.send('end', '')
  await last
  assert.deepEqual(got, [])

  ben.setStanding('anna', 'friend')
  const stream = await ben_.openStream('friends')
  stream.destroy()
  assert.deepEqual(got, ['stream'])
})

test('what a handler throws is an uncaught exception, and the agent goes on', {
  timeout,
}, async (context) => {
  const village = await Village.open(deferIn(context))
  const anna = await village.agent('anna')
  const ben = await village.agent('ben')
  const opened = Promise.withResolvers<Duplex>()
  ben.onDatagram('bad', () => {
    throw new Error('from the handler')
  })
  ben.onStream('good', (stream) => opened.resolve(stream))
  const [ben_] = await meet(anna, ben)
  const uncaught: unknown[] = []
  const was = process.listeners('uncaughtException')
  process.removeAllListeners('uncaughtException')
  const caught = new Promise<void>((resolve) => {
    process.once('uncaughtException', (thrown) => {
      uncaught.push(thrown)
      resolve()
    })
  })
  ben_.send('bad', 'x')
  await caught
  for (const listener of was) process.on('uncaughtException', listener)
  assert.match(String(uncaught[0]), /from the handler/)
  const stream = await ben_.openStream('good')
  stream.end('fine')
  assert.equal(await text(await opened.promise), 'fine')
})

test('a player is sent away, called back, and blocked', { timeout }, async (context) => {
  const village = await Village.open(deferIn(context))
  const folder = join(village.folder, 'anna')
  const anna = await village.agent('anna', { folder })
  const ben = await village.agent('ben')
  const [ben_] = await meet(anna, ben)
  await Promise.all([once(ben, 'disconnected'), Promise.resolve(anna.disconnect('ben'))])
  const [, again] = [anna.connect('ben'), await once(anna, 'connected')]
  assert.equal(again[0].peer.id, ben_.id)
  await Promise.all([once(anna, 'disconnected'), Promise.resolve(anna.setStanding(ben_.id, 'blocked'))])
  assert.throws(() => anna.connect('ben'), { code: 'usage', message: /blocked/ })
  assert.throws(() => anna.connect('carla'), { code: 'usage', message: /Nobody called "carla"/ })
  await anna.stop()

  assert.equal(statSync(join(folder, 'identity.key')).mode & 0o777, 0o600)
  const back = await village.agent('anna', { folder })
  await back.start()
  assert.equal(back.status().id, anna.status().id, 'the folder makes her the same player')
  assert.throws(() => back.connect(ben_.id), { message: /blocked/ })
})

test('options that cannot work are told by a Problem, and nothing stays open', async (context) => {
  const village = await Village.open(deferIn(context))
  const bad = async (more: object, code: string, message: RegExp) => {
    const agent = await village.agent('anna', more)
    await assert.rejects(agent.start(), (thrown) => {
      assert.ok(thrown instanceof Problem)
      assert.equal(thrown.code, code)
      assert.match(thrown.message, message)
      assert.ok(thrown.remedy.length > 0)
      return true
    })
  }
  await bad({ invite: 'peerpost1nonsense' }, 'invite', /^The option "invite" holds /)
  await bad({ name: '' }, 'config', /The options: "name"/)
  await bad({ settings: { peers: { linkz: 3 } } }, 'config', /unknown key "linkz" in \[peers\]/)
  await bad({ receive: `maildir:${village.folder}/none` }, 'file', /none/)
  const nowhere = new Agent({ config: join(village.folder, 'none.toml') })
  await assert.rejects(nowhere.start(), { code: 'file', message: /There is no config file/ })
  assert.throws(() => nowhere.status(), { code: 'usage' })
  await nowhere.stop()
})

test('an agent may be stopped before and while it starts', { timeout }, async (context) => {
  const village = await Village.open(deferIn(context))
  const early = await village.agent('early')
  await early.stop()
  await early.start()
  assert.throws(() => early.status(), { code: 'usage' })
  const hasty = await village.agent('hasty')
  const starting = hasty.start()
  await hasty.stop()
  await starting
})

test('a host keeps its keys: what it gives out after a restart invites to the same room at the same host', async (context) => {
  const village = await Village.open(deferIn(context))
  assert.match(village.invite, /^peerpost1/)
  assert.ok(existsSync(join(village.folder, 'host', 'room.secret')))
  await assert.rejects(village.host.invite('other'), { code: 'usage', message: /no room "other"/ })
  const { invite } = village
  await village.host.stop()
  const read = (text: string) => {
    const reading = readInvite(realCrypto, text)
    assert.ok(reading.ok && 'pass' in reading.invite.room)
    const { host, room } = reading.invite
    return { host, name: room.name, tag: room.pass.tag, key: room.pass.grant.key }
  }
  const [before, later] = [read(invite), read(await village.host.invite())]
  assert.deepEqual({ ...later, key: null }, { ...before, key: null })
  assert.notDeepEqual(later.key, before.key, 'each can be revoked by itself')
})
