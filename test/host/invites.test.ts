import assert from 'node:assert/strict'
import { test } from 'node:test'
import BetterSqlite3 from 'better-sqlite3'
import { toHex } from '../../src/base/bytes.ts'
import { makePass, memberKeys, type RoomKeys, roomKeys } from '../../src/letter/room-membership.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { makeHostKeys, makeRoom } from './fakes.ts'
import { Stage } from './virtual-hosts.ts'

const hourMs = 3_600_000

function keyOf({ grant }: RoomKeys): Uint8Array {
  assert.ok(grant)
  return grant.key
}

/** Delivers a request of a new agent. Returns null when it was answered, else why it was dropped. */
async function sendRequest(stage: Stage, name: string, room: RoomKeys): Promise<string | null> {
  const agent = stage.agent(name, undefined, room)
  const before = stage.drops().length
  stage.deliver(agent.mailRequest(stage.now))
  await stage.settle()
  const drop = stage.drops()[before] ?? null
  const granted = stage.lettersTo(agent).filter((letter) => letter.kind === 'reply' && !letter.decline)
  assert.equal(granted.length, drop === null ? 1 : 0)
  return drop
}

test('an agent with an invite of the host is admitted and offered to one with the secret of the room', async () => {
  const stage = await new Stage().start()
  const ann = stage.agent('ann', undefined, stage.invite())
  const bob = stage.agent('bob')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  stage.deliver(bob.mailRequest(stage.now))
  await stage.settle()
  const [reply] = stage.lettersTo(bob)
  assert.equal(reply?.kind, 'reply')
  assert.deepEqual(
    reply.peers.map(({ nickname }) => nickname),
    ['ann'],
  )
  await stage.stop()
})

test('an invite admits nobody after its end, and agents that came by it are removed soon after', async () => {
  const stage = await new Stage().start()
  const invite = stage.invite({ until: stage.now + 2 * hourMs })
  assert.equal(await sendRequest(stage, 'ann', invite), null)
  stage.clock.jumpWall(2 * hourMs)
  assert.equal(await sendRequest(stage, 'bob', invite), 'invite-ended')
  await stage.pass(10_000)
  assert.equal(stage.host.counters().entries, 0)
  await stage.stop()
})

test('an invite for two agents admits two, each as often as it likes, also after a restart', async () => {
  const stage = await new Stage().start()
  const invite = stage.invite({ uses: 2 })
  const ann = stage.agent('ann', undefined, invite)
  for (let times = 0; times < 3; times++) {
    stage.deliver(ann.mailRequest(stage.now))
    await stage.settle()
  }
  assert.equal(await sendRequest(stage, 'bob', invite), null)
  assert.equal(await sendRequest(stage, 'cid', invite), 'invite-used-up')
  await stage.restart()
  assert.equal(await sendRequest(stage, 'dan', invite), 'invite-used-up')
  stage.deliver(ann.mailRequest(stage.now))
  await stage.settle()
  assert.equal(stage.lettersTo(ann).length, 4)
  await stage.stop()
})

test('an invite revoked while the host runs admits nobody from then on, and agents that came by it are removed', async () => {
  const stage = await new Stage().start()
  const [bad, good] = [stage.invite(), stage.invite()]
  assert.equal(await sendRequest(stage, 'ann', bad), null)
  assert.equal(await sendRequest(stage, 'bob', good), null)
  assert.equal(
    stage.command((invites) => invites.revoke(keyOf(bad), stage.now)),
    1,
  )
  assert.equal(stage.host.counters().entries, 1)
  assert.equal(await sendRequest(stage, 'abe', bad), 'invite-revoked')
  const cid = stage.agent('cid')
  stage.deliver(cid.mailRequest(stage.now))
  await stage.settle()
  const [reply] = stage.lettersTo(cid)
  assert.equal(reply?.kind, 'reply')
  assert.deepEqual(
    reply.peers.map(({ nickname }) => nickname),
    ['bob'],
  )
  await stage.restart()
  assert.equal(await sendRequest(stage, 'eve', bad), 'invite-revoked')
  await stage.stop()
})

test('where invites are required the secret of the room is not enough', async () => {
  const stage = new Stage()
  stage.invitesRequired = true
  await stage.start()
  assert.equal(await sendRequest(stage, 'ann', stage.room), 'invite-required')
  assert.equal(await sendRequest(stage, 'bob', stage.invite()), null)
  await stage.stop()
})

test('an invite that the host did not make, or made for another room, admits nobody', async () => {
  const stage = await new Stage().start()
  const seed = realCrypto.randomBytes(32)
  const passOf = (room: RoomKeys, host = stage.keys.identity) => makePass(realCrypto, room, host, seed, {})
  const elsewhere = memberKeys(realCrypto, { pass: passOf(makeRoom()) })
  const foreign = memberKeys(realCrypto, { pass: passOf(stage.room, makeHostKeys().identity) })
  const real = stage.invite()
  const longer = {
    ...real,
    grant: { ...stage.invite({ uses: 2 }).grant, ...real.grant, uses: 1000 },
  } as RoomKeys
  for (const keys of [{ ...elsewhere, tag: stage.room.tag }, foreign, longer]) {
    assert.equal(await sendRequest(stage, 'eve', keys), 'not-a-member')
  }
  // A thief has a key of its own, and shows the grant of a valid invite.
  const thief = { ...stage.invite(), grant: real.grant } as RoomKeys
  assert.equal(await sendRequest(stage, 'eve', thief), 'not-a-member')
  assert.deepEqual(
    stage.command((invites) => invites.list(stage.now)),
    [],
  )
  await stage.stop()
})

test('an invite known for one room does not open another', async () => {
  const stage = await new Stage().start()
  const invite = stage.invite()
  const other = makeRoom()
  stage.command((invites) => invites.add(other.tag, { key: keyOf(invite) }, '', stage.now))
  assert.equal(
    await sendRequest(stage, 'eve', { ...invite, grant: { ...invite.grant, uses: 3 } } as RoomKeys),
    'not-a-member',
  )
  await stage.stop()
})

test('the list shows how many agents came by each invite', async () => {
  const stage = await new Stage().start()
  const invite = stage.invite({ uses: 5 })
  const add = (name: string) =>
    stage.command((invites) => invites.add(stage.room.tag, { key: keyOf(invite), uses: 5 }, name, stage.now))
  assert.equal(add("ann's friends"), true)
  for (const name of ['ann', 'bob']) await sendRequest(stage, name, invite)
  const bob = stage.agent('bob', undefined, invite)
  stage.deliver(bob.mailRequest(stage.now))
  await stage.settle()
  stage.deliver(bob.mail({ ...bob.head(stage.now), kind: 'leave', room: stage.room.tag }))
  await stage.settle()
  const [listed, ...more] = stage.command((invites) => invites.list(stage.now))
  assert.ok(listed && more.length === 0)
  const { name, state, used, present, uses } = listed
  assert.deepEqual(
    { name, state, used, present, uses },
    { name: "ann's friends", state: 'open', used: 3, present: 2, uses: 5 },
  )
  assert.equal(toHex(listed.key), toHex(keyOf(invite)))
  await stage.stop()
})

test('an invite that the database does not hold is stored with its terms at its first use', async () => {
  const stage = await new Stage().start()
  const invite = stage.invite({ until: stage.now + hourMs, uses: 1 })
  assert.equal(await sendRequest(stage, 'ann', invite), null)
  assert.equal(await sendRequest(stage, 'bob', invite), 'invite-used-up')
  const [{ until, uses } = {}] = stage.command((invites) => invites.list(stage.now))
  assert.deepEqual({ until, uses }, { until: invite.grant?.until, uses: 1 })
  await stage.stop()
})

test('nothing in a stolen database admits anybody', async () => {
  const stage = await new Stage().start()
  const invite = stage.invite()
  assert.equal(await sendRequest(stage, 'ann', invite), null)
  assert.equal(await sendRequest(stage, 'ben', stage.room), null)
  const stolen = bytesIn(stage.database).filter((bytes) => bytes.length === 32)
  // The invite's key, the room's tag, both users and the keys of their sessions at least.
  assert.ok(stolen.length >= 6)
  for (const [index, seed] of stolen.entries()) {
    const proofKeyPair = realCrypto.signKeyPair(seed)
    assert.notEqual(await sendRequest(stage, `thief${index}`, { ...stage.room, proofKeyPair }), null)
    assert.notEqual(await sendRequest(stage, `heir${index}`, { ...invite, proofKeyPair }), null)
    assert.notEqual(await sendRequest(stage, `guest${index}`, roomKeys(realCrypto, seed)), null)
  }
  assert.equal(await sendRequest(stage, 'cid', invite), null)
  await stage.stop()
})

/** All binary values in a database file, each once. */
function bytesIn(path: string): Uint8Array[] {
  const database = new BetterSqlite3(path, { readonly: true })
  const found = new Map<string, Uint8Array>()
  const tables = database.prepare("SELECT name FROM sqlite_schema WHERE type = 'table'").pluck().all()
  for (const table of tables)
    for (const row of database.prepare(`SELECT * FROM "${table}"`).raw().all() as unknown[][])
      for (const value of row) if (value instanceof Uint8Array) found.set(toHex(value), new Uint8Array(value))
  database.close()
  return [...found.values()]
}
