import assert from 'node:assert/strict'
import { test } from 'node:test'
import { seededRandom } from '../harness/seeded-crypto.ts'
import { MemoryTable, statement } from './memory-table.ts'
import { dayMs, endsEqual, hourMs, minuteMs } from './simulated-day.ts'
import { SimulatedHosts } from './simulated-hosts.ts'

test('after loss, delay, doubling, partitions and restarts five hosts hold the same table', () => {
  for (let seed = 0; seed < 60; seed++) assert.ok(endsEqual(seed), `seed ${seed}`)
})

/** Two hosts with this many users in both tables, and in only one table. */
function twoHosts(common: number, left: number, right: number, random = seededRandom(7)): SimulatedHosts {
  const tables = [new MemoryTable(), new MemoryTable()] as const
  for (let user = 0; user < common; user++) {
    const known = statement(user, 1_000 + user)
    for (const table of tables) table.take(known)
  }
  for (let user = 0; user < left; user++) tables[0].take(statement(1_000_000 + user, 1_000_000 + user))
  for (let user = 0; user < right; user++) tables[1].take(statement(2_000_000 + user, 2_000_000 + user))
  const world = new SimulatedHosts(tables, random, minuteMs)
  // The second host starts now. The letters of the first one were lost until then.
  world.time.run(minuteMs - 1)
  world.sent.length = 0
  return world
}

test('ten thousand equal entries are compared by one letter of 384 bytes', () => {
  const world = twoHosts(10_000, 0, 0)
  world.time.run(5 * minuteMs)
  assert.equal(world.sent.length, 1)
  const [only] = world.sent
  assert.ok(only && 'comparison' in only.letter)
  assert.equal(only.letter.comparison.groups?.length, 384)
})

test('one difference in ten thousand entries is found within five letters', () => {
  const world = twoHosts(10_000, 1, 0)
  world.time.run(5 * minuteMs)
  assert.ok(world.areEqual)
  assert.ok(world.sent.length <= 5, `${world.sent.length}`)
  const sent = world.sent.flatMap(({ letter }) => ('statements' in letter ? letter.statements : []))
  assert.equal(sent.length, 1)
})

test('with small tables the items are sent at once, and each side sends only what the other lacks', () => {
  const world = twoHosts(50, 3, 4)
  world.time.run(minuteMs)
  assert.ok(world.areEqual)
  const sent = world.sent.flatMap(({ letter }) => ('statements' in letter ? letter.statements : []))
  assert.equal(sent.length, 7)
  assert.ok(world.sent.length <= 5, `${world.sent.length}`)
})

test('a host that starts empty asks one other for its newest entries and has them at once', () => {
  const world = twoHosts(0, 500, 0)
  world.time.run(10_000)
  assert.ok(world.areEqual)
  assert.equal(
    world.sent.filter(({ letter }) => 'comparison' in letter && letter.comparison.newest).length,
    1,
  )
})

test('a host that starts empty asks the next one when the first is silent', () => {
  const tables = [new MemoryTable(), new MemoryTable(), new MemoryTable()]
  tables[2]?.take(statement(1, 1_000))
  const world = new SimulatedHosts(tables, seededRandom(3))
  world.separate(1, 1)
  world.time.run(2 * minuteMs)
  assert.equal(world.host(0).table.size, 1)
})

test('a statement at one host reaches all others within seconds, and each gets one letter', () => {
  const tables = Array.from({ length: 4 }, () => new MemoryTable())
  for (const table of tables) table.take(statement(1, 1))
  const world = new SimulatedHosts(tables, seededRandom(5))
  world.time.run(minuteMs)
  const before = world.sent.length
  world.receive(0, statement(2, 2_000))
  world.receive(0, statement(3, 3_000))
  world.time.run(5_000)
  assert.ok(world.areEqual)
  const toEach = world.sent.slice(before).filter(({ from }) => from === 'host 0')
  assert.deepEqual(
    toEach.map(({ to }) => to),
    ['host 1', 'host 2', 'host 3'],
  )
  world.time.run(5 * minuteMs)
  // Each host sends it to the others once. After that all know it.
  assert.ok(world.sent.length - before <= 3 + 3 * 2, `${world.sent.length - before}`)
})

test('hosts compare less and less often while nothing changes', () => {
  const world = twoHosts(10, 0, 0)
  world.time.run(dayMs)
  assert.ok(world.sent.length < 20, `${world.sent.length}`)
})

test('a leave letter removes the entry at all hosts, and an older request that comes late does not bring it back', () => {
  const world = twoHosts(3, 0, 0)
  world.time.run(minuteMs)
  world.receive(0, statement(1, 50_000, { isLeave: true }))
  world.time.run(minuteMs)
  assert.deepEqual(
    world.hosts.map(({ table }) => table.size),
    [2, 2],
  )
  world.receive(1, statement(1, 40_000))
  world.time.run(hourMs)
  assert.ok(world.areEqual)
  assert.equal(world.host(1).table.size, 2)
})

test('a full table accepts only statements newer than its oldest entry', () => {
  const tables = [new MemoryTable(5), new MemoryTable()]
  for (let user = 0; user < 20; user++) tables[1]?.take(statement(user, 1_000 + user))
  const world = new SimulatedHosts(tables, seededRandom(9))
  world.time.run(dayMs)
  assert.equal(world.host(0).table.size, 5)
  assert.deepEqual(world.host(0).table.newest(5), world.host(1).table.newest(5))
  assert.ok(world.sent.length < 80, `${world.sent.length}`)
})
