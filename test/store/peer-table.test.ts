import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { DepartedAgents } from '../../src/store/departed-agents.ts'
import { openHostDatabase } from '../../src/store/host-database.ts'
import { PeerTable } from '../../src/store/peer-table.ts'
import { SeenLetters } from '../../src/store/seen-letters.ts'
import { newEntry, openMemory, roomTag, userId } from './entries.ts'

const capacity = 4
const expiryMs = 100

/** A model of the table: a list of entries in the order of their requests, cut at the start. */
type ModelEntry = { room: number; user: number; sentAt: number; acceptedAt: number; flagged: boolean }
/** `left`: when users left, by `room user`. Only rooms that had an entry are known. */
type Model = { entries: ModelEntry[]; now: number; rooms: Set<number>; left: Map<string, number> }
type Real = { table: PeerTable }

function shown(model: Model, room: number): ModelEntry[] {
  return model.entries
    .filter((entry) => entry.room === room && entry.acceptedAt + expiryMs > model.now)
    .map((entry, order) => ({ entry, order }))
    .sort((a, b) => b.entry.acceptedAt - a.entry.acceptedAt || b.order - a.order)
    .map(({ entry }) => entry)
}

function compare(model: Model, { table }: Real): void {
  assert.equal(table.size, model.entries.length)
  assert.ok(table.size <= capacity)
  for (let room = 0; room < 2; room++) {
    for (let except = 0; except < 6; except++) {
      const expected = shown(model, room).filter(({ user }) => user !== except)
      const got = table.recent(roomTag(room), userId(except), 3, model.now)
      assert.deepEqual(
        got.map(({ user, sentAt, acceptedAt, flagged }) => ({ user, sentAt, acceptedAt, flagged })),
        expected.slice(0, 3).map(({ user, sentAt, acceptedAt, flagged }) => ({
          user: userId(user),
          sentAt,
          acceptedAt,
          flagged,
        })),
      )
      const own = shown(model, room).find(({ user }) => user === except)
      assert.equal(table.find(roomTag(room), userId(except), model.now)?.sentAt, own?.sentAt)
    }
  }
}

function command<T extends unknown[]>(
  name: string,
  act: (model: Model, real: Real, ...given: T) => void,
): (...given: T) => fc.Command<Model, Real> {
  return (...given) => ({
    check: () => true,
    run: (model, real) => {
      act(model, real, ...given)
      compare(model, real)
    },
    toString: () => `${name}(${given.join(', ')})`,
  })
}

const upsert = command('upsert', (model, { table }, room: number, user: number, sentAt: number) => {
  table.upsert(roomTag(room), newEntry(user, sentAt), model.now)
  const present = model.entries.find((entry) => entry.room === room && entry.user === user)
  model.rooms.add(room)
  if (present && present.sentAt > sentAt) return
  if ((model.left.get(`${room} ${user}`) ?? -1) >= sentAt) return
  model.entries = model.entries.filter((entry) => entry !== present)
  model.entries.push({ room, user, sentAt, acceptedAt: model.now, flagged: false })
  model.entries = model.entries.slice(-capacity)
})

const leave = command('leave', (model, { table }, room: number, user: number, sentAt: number) => {
  const removed = table.leave(roomTag(room), userId(user), sentAt)
  const rest = model.entries.filter(
    (entry) => entry.room !== room || entry.user !== user || entry.sentAt > sentAt,
  )
  assert.equal(removed, rest.length < model.entries.length)
  model.entries = rest
  const key = `${room} ${user}`
  if (model.rooms.has(room)) model.left.set(key, Math.max(sentAt, model.left.get(key) ?? 0))
})

const forgetDepartedAgents = command('forgetLeftAgents', (model, { table }, until: number) => {
  while (table.forgetDepartedAgents(until, 1) > 0);
  for (const [key, sentAt] of model.left) if (sentAt <= until) model.left.delete(key)
})

const flag = command('flag', (model, { table }, room: number, user: number) => {
  const present = model.entries.find((entry) => entry.room === room && entry.user === user)
  assert.equal(table.flag(roomTag(room), userId(user)), present !== undefined)
  if (present) present.flagged = true
})

const step = command('step', (model, _real, byMs: number) => {
  model.now += byMs
})

const removeExpired = command('removeExpired', (model, { table }, limit: number) => {
  const expired = model.entries.filter((entry) => entry.acceptedAt + expiryMs <= model.now)
  const removed = table.removeExpired(model.now, limit)
  assert.equal(removed, Math.min(limit, expired.length))
  if (removed < expired.length) {
    while (table.removeExpired(model.now, limit) > 0);
  }
  model.entries = model.entries.filter((entry) => !expired.includes(entry))
})

const clampFuture = command('clampFuture', (model, { table }) => {
  while (table.clampFuture(model.now, 1) > 0);
  for (const entry of model.entries) entry.acceptedAt = Math.min(entry.acceptedAt, model.now)
})

test('the table never exceeds its capacity and equals the model after any sequence of operations', () => {
  const room = fc.nat(1)
  const user = fc.nat(5)
  const sentAt = fc.nat(20)
  const commands = fc.commands(
    [
      fc.tuple(room, user, sentAt).map((given) => upsert(...given)),
      fc.tuple(room, user, sentAt).map((given) => upsert(...given)),
      fc.tuple(room, user, sentAt).map((given) => leave(...given)),
      fc.tuple(room, user).map((given) => flag(...given)),
      fc.integer({ min: -150, max: 150 }).map((byMs) => step(byMs)),
      fc.integer({ min: 1, max: 3 }).map((limit) => removeExpired(limit)),
      fc.constant(null).map(() => clampFuture()),
      sentAt.map((until) => forgetDepartedAgents(until)),
    ],
    { maxCommands: 60 },
  )
  fc.assert(
    fc.property(commands, (sequence) => {
      const database = openMemory()
      try {
        const table = new PeerTable(database, { capacity, expiryMs })
        fc.modelRun(
          () => ({
            model: { entries: [], now: 1_000, rooms: new Set<number>(), left: new Map<string, number>() },
            real: { table },
          }),
          sequence,
        )
      } finally {
        database.close()
      }
    }),
    { numRuns: 150 },
  )
})

test('an entry is read as it was written', () => {
  const table = new PeerTable(openMemory(), { capacity, expiryMs })
  const entry = newEntry(1, 5, {
    nickname: 'Zoë "; DROP TABLE entry',
    candidates: [
      { kind: 'host', endpoint: { address: '192.168.1.2', port: 7 } },
      { kind: 'server-reflexive', endpoint: { address: '2001:db8::1', port: 65535 } },
    ],
    tcpCandidates: [{ kind: 'port-mapped', endpoint: { address: '203.0.113.7', port: 7 } }],
    nat: { mapping: 'APDM', filtering: 'unknown', allocation: { type: 'sequential', step: -2 } },
  })
  table.upsert(roomTag(0), entry, 50)
  const { inviteId, ...kept } = entry
  assert.deepEqual(table.find(roomTag(0), userId(1), 60), { ...kept, flagged: false, acceptedAt: 50 })
  assert.equal(table.find(roomTag(1), userId(1), 60), null)
})

test('a lower capacity is applied at the start', () => {
  const database = openMemory()
  const before = new PeerTable(database, { capacity: 10, expiryMs })
  for (let user = 0; user < 10; user++) before.upsert(roomTag(0), newEntry(user, 1), user)
  const after = new PeerTable(database, { capacity: 3, expiryMs })
  assert.equal(after.size, 3)
  const users = after.recent(roomTag(0), userId(99), 10, 10).map(({ user }) => user)
  assert.deepEqual(users, [userId(9), userId(8), userId(7)])
})

test('every query that runs for each letter uses an index', () => {
  // Only for SQLite: PostgreSQL chooses by the content of the tables.
  const database = openHostDatabase(':memory:')
  new PeerTable(database, { capacity, expiryMs })
  const queries = [
    'SELECT * FROM entry WHERE room_id = 1 AND accepted_at > 5 AND user_id <> 6 ORDER BY accepted_at DESC, entry_order DESC LIMIT 8',
    'SELECT * FROM entry WHERE room_id = 1 AND user_id = 2',
    'SELECT entry_order FROM entry WHERE accepted_at <= 5 ORDER BY accepted_at LIMIT 5',
    'SELECT * FROM mail WHERE lane = 0 AND next_attempt_at <= 5 ORDER BY next_attempt_at, mail_order LIMIT 5',
    'SELECT sent_at FROM seen_letter WHERE sent_at <= 5 ORDER BY sent_at LIMIT 5',
    'SELECT 1 FROM departure WHERE room_id = 1 AND user_id = 2 AND sent_at >= 3',
    'SELECT sent_at FROM departure WHERE sent_at <= 5 ORDER BY sent_at LIMIT 5',
    'SELECT room_id, recipient FROM introduction WHERE noted_at <= 5 ORDER BY noted_at LIMIT 1',
  ]
  for (const query of queries) {
    const plan = database.connection.prepare(`EXPLAIN QUERY PLAN ${query}`).all() as { detail: string }[]
    for (const { detail } of plan)
      assert.match(detail, /^SEARCH .* USING ((COVERING )?INDEX|PRIMARY KEY)/, query)
  }
})

test('a request signed before the leave letter does not bring the agent back, a later one does', () => {
  const table = new PeerTable(openMemory(), { capacity, expiryMs })
  assert.equal(table.upsert(roomTag(0), newEntry(1, 10), 1), 'added')
  assert.equal(table.leave(roomTag(0), userId(1), 20), true)
  assert.equal(table.upsert(roomTag(0), newEntry(1, 15), 2), 'older')
  assert.equal(table.upsert(roomTag(0), newEntry(1, 20), 2), 'older')
  assert.equal(table.size, 0)
  assert.equal(table.upsert(roomTag(1), newEntry(1, 15), 2), 'added')
  assert.equal(table.upsert(roomTag(0), newEntry(1, 21), 3), 'added')
})

test('after records of agents that left are deleted, letters of the same age are stale', () => {
  const database = openMemory()
  const left = new DepartedAgents(database, 2)
  new PeerTable(database, { capacity, expiryMs }).upsert(roomTag(0), newEntry(1, 1), 1)
  const seen = new SeenLetters(database, { freshnessMs: 1, futureToleranceMs: 1, capacity: 9 })
  for (const [user, sentAt] of [30, 10, 20].entries()) left.add(1, userId(user), sentAt)
  assert.equal(seen.forgottenUntil, 10)
  assert.deepEqual(
    [0, 1, 2].map((user) => left.hasLeftSince(1, userId(user), 9)),
    [true, false, true],
  )
})

test('an entry that was rolled back is not shown for the row that got its number', () => {
  const database = openMemory()
  const table = new PeerTable(database, { capacity, expiryMs })
  const names = () => table.recent(roomTag(0), userId(9), 8, 1).map(({ nickname }) => nickname)
  table.upsert(roomTag(0), newEntry(1, 1), 1)
  assert.deepEqual(names(), ['agent 1'])
  const work = () => {
    table.leave(roomTag(0), userId(1), 1)
    table.upsert(roomTag(0), newEntry(2, 1), 1)
    assert.deepEqual(names(), ['agent 2'])
    throw new Error('undone')
  }
  assert.throws(() => database.transaction(work), /undone/)
  assert.deepEqual(names(), ['agent 1'])
})
