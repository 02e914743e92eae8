import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { toHex } from '../../src/base/bytes.ts'
import { FriendsAndBlocked, peersFileOf, type Standing } from '../../src/daemon/friends-and-blocked.ts'
import { userIdText } from '../../src/letter/user-id.ts'

const bytesOf = (number: number) => new Uint8Array(32).fill(number)
const idOf = (number: number) => userIdText(bytesOf(number))
const nobody = { friends: [], blocked: [] }

function folderOf(context: TestContext): string {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-standings-'))
  context.after(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

test('changes apply at once and after the next start, and the config applies where nothing was changed', (context) => {
  const folder = folderOf(context)
  const standing = fc.constantFrom<Standing>('friend', 'blocked', 'none')
  const person = fc.integer({ min: 0, max: 5 })
  const lists = fc.record({ friends: fc.uniqueArray(person), blocked: fc.uniqueArray(person) })
  let run = 0
  fc.assert(
    fc.property(lists, fc.array(fc.tuple(person, standing), { maxLength: 8 }), (config, changes) => {
      const file = join(folder, `${++run}.json`)
      const texts = { friends: config.friends.map(idOf), blocked: config.blocked.map(idOf) }
      const first = new FriendsAndBlocked(file, texts)
      const expected = new Map<number, Standing>()
      for (const who of config.friends) expected.set(who, 'friend')
      for (const who of config.blocked) expected.set(who, 'blocked')
      for (const [who, value] of changes) {
        first.set({ id: idOf(who), name: null }, value)
        expected.set(who, value)
      }
      for (const list of [first, new FriendsAndBlocked(file, texts)]) {
        for (let who = 0; who <= 5; who++) {
          const wanted = expected.get(who) ?? 'none'
          assert.equal(list.of(idOf(who)), wanted)
          assert.equal(list.friends.has(toHex(bytesOf(who))), wanted === 'friend')
          assert.equal(list.blocked.has(toHex(bytesOf(who))), wanted === 'blocked')
        }
      }
    }),
    { numRuns: 40 },
  )
  assert.deepEqual(
    readdirSync(folder).filter((name) => !name.endsWith('.json')),
    [],
    'no temporary file is left',
  )
})

test('a dismissed player counts as blocked until readmitted, and nothing is stored', (context) => {
  const folder = folderOf(context)
  const list = new FriendsAndBlocked(join(folder, 'x.json'), nobody)
  list.dismiss(idOf(1))
  assert.deepEqual([[...list.blocked], list.of(idOf(1))], [[toHex(bytesOf(1))], 'none'])
  list.readmit(idOf(1))
  assert.equal(list.blocked.size, 0)
  assert.deepEqual(readdirSync(folder), [])
})

test('a damaged file is refused with a remedy', (context) => {
  const file = join(folderOf(context), 'agent.peers.json')
  for (const text of [
    '{',
    '{}',
    '{"version":2,"peers":[]}',
    '{"version":1,"peers":[{"id":"x","name":null,"standing":"friend"}]}',
  ]) {
    writeFileSync(file, text, { mode: 0o600 })
    assert.throws(() => new FriendsAndBlocked(file, nobody), { code: 'file', remedy: /Restore it/ }, text)
  }
})

test('a change that cannot be stored is not applied, and no more than 512 are stored', (context) => {
  const folder = folderOf(context)
  const lost = new FriendsAndBlocked(join(folder, 'none', 'x.json'), nobody)
  assert.throws(() => lost.set({ id: idOf(1), name: 'ben' }, 'blocked'), { code: 'file' })
  assert.equal(lost.blocked.size, 0)
  const file = join(folder, 'many.json')
  const id = (number: number) =>
    userIdText(Uint8Array.from({ length: 32 }, (_, i) => (i < 2 ? number >> (8 * i) : 1)))
  const peers = Array.from({ length: 512 }, (_, i) => ({ id: id(i), name: null, standing: 'blocked' }))
  writeFileSync(file, JSON.stringify({ version: 1, peers }), { mode: 0o600 })
  const full = new FriendsAndBlocked(file, nobody)
  assert.equal(full.blocked.size, 512)
  assert.throws(() => full.set({ id: id(600), name: null }, 'blocked'), { code: 'file', remedy: /\[peers\]/ })
  full.set({ id: id(5), name: null }, 'none')
  assert.equal(full.blocked.size, 511)
})

test('the file stands beside the config', () => {
  assert.equal(peersFileOf('/x/agent.toml'), '/x/agent.peers.json')
})
