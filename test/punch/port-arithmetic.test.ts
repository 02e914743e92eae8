import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { PortBlock } from '../../src/base/nat-profile.ts'
import type { PortRange } from '../../src/base/signaling-message.ts'
import { allPorts } from '../../src/punch/nat-behavior.ts'
import { drawPorts, portsAround, portsOf, stepsBetween } from '../../src/punch/port-arithmetic.ts'
import { targetsAhead } from '../../src/punch/tactics/port-prediction.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'

const port = fc.integer({ min: 1, max: 65535 })
const block: fc.Arbitrary<PortBlock> = fc
  .tuple(port, port)
  .map(([a, b]) => ({ first: Math.min(a, b), last: Math.max(a, b) }))
const range: fc.Arbitrary<PortRange> = fc
  .tuple(block, fc.integer({ min: 1, max: 65535 }))
  .map(([{ first, last }, step]) => ({ first, last, step }))

test('steps are counted forwards only and in whole numbers', () => {
  assert.equal(stepsBetween(100, 110, 5), 2)
  assert.equal(stepsBetween(110, 100, -5), 2)
  assert.equal(stepsBetween(100, 100, 5), 0)
  assert.equal(stepsBetween(100, 111, 5), null)
  assert.equal(stepsBetween(110, 100, 5), null)
})

test('the ports of ranges come in their order, each once, and never more than the limit', () => {
  const ranges = [
    { first: 10, last: 20, step: 5 },
    { first: 15, last: 16, step: 1 },
  ]
  assert.deepEqual(portsOf(ranges, 9), [10, 15, 20, 16])
  assert.deepEqual(portsOf(ranges, 2), [10, 15])
  fc.assert(
    fc.property(fc.array(range, { maxLength: 16 }), fc.nat(200), (anyRanges, limit) => {
      const ports = portsOf(anyRanges, limit)
      assert.ok(ports.length <= limit && new Set(ports).size === ports.length)
      for (const port of ports) assert.ok(anyRanges.some(({ first, last }) => port >= first && port <= last))
    }),
  )
})

test('around a range come first its smaller steps, then its steps outwards, then all ports outwards', () => {
  const around = portsAround([{ first: 2000, last: 2004, step: 4 }], allPorts, 24)
  assert.deepEqual(around.slice(0, 7), [1996, 1998, 2002, 2006, 2008, 1997, 1999])
  assert.ok(around.includes(2012) && around.includes(1992))
  const outwards = portsAround([{ first: 2000, last: 2000, step: 1 }], allPorts, 6)
  assert.deepEqual(outwards, [2001, 1999, 2002, 1998, 2003, 1997])
})

test('around a range nothing is named twice, known already, or outside the block', () => {
  fc.assert(
    fc.property(fc.array(range, { maxLength: 4 }), block, fc.nat(100), (ranges, within, limit) => {
      const around = portsAround(ranges, within, limit)
      const known = new Set(portsOf(ranges, 65535))
      assert.ok(around.length <= limit && new Set(around).size === around.length)
      for (const port of around) assert.ok(port >= within.first && port <= within.last && !known.has(port))
    }),
  )
})

test('drawn ports are distinct ports of the block, as many as requested or available', () => {
  fc.assert(
    fc.property(block, fc.nat(900), fc.nat(1_000), (within, count, seed) => {
      const drawn = drawPorts(within, count, seededRandom(seed))
      assert.equal(drawn.length, Math.min(count, within.last - within.first + 1))
      assert.equal(new Set(drawn).size, drawn.length)
      for (const port of drawn) assert.ok(port >= within.first && port <= within.last)
    }),
  )
})

test('every port is drawn as often as any other', () => {
  const random = seededRandom(4)
  const counts = new Map<number, number>()
  for (let round = 0; round < 4_000; round++) {
    for (const port of drawPorts({ first: 5, last: 14 }, 3, random))
      counts.set(port, (counts.get(port) ?? 0) + 1)
  }
  assert.equal(counts.size, 10)
  for (const count of counts.values()) assert.ok(Math.abs(count - 1_200) < 150, `${count}`)
})

test('targets lie ahead of the counter, in its order, inside the block, few and not too far apart', () => {
  fc.assert(
    fc.property(
      port,
      fc.integer({ min: -20, max: 20 }).filter((step) => step !== 0),
      fc.nat(200),
      fc.integer({ min: 1_000, max: 10_000 }),
      fc.integer({ min: 100, max: 300_000 }),
      block,
      (from, step, seen, overMs, mailMs, within) => {
        const targets = targetsAhead({ port: from, step, sentAfter: 0 }, { seen, overMs }, mailMs, within)
        assert.ok(targets.length <= 24)
        let previous = from
        for (const [index, target] of targets.entries()) {
          const steps = stepsBetween(previous, target, step)
          assert.ok(steps !== null && steps > 0 && (index === 0 || steps <= 100), `${steps}`)
          assert.ok(target >= within.first && target <= within.last)
          previous = target
        }
      },
    ),
  )
})

test('targets reach as far as the observed traffic may carry the counter during two letters', () => {
  const targets = targetsAhead(
    { port: 20_000, step: 1, sentAfter: 0 },
    { seen: 50, overMs: 10_000 },
    60_000,
    allPorts,
  )
  // 5 a second for two letters of a minute each, with good and bad luck.
  assert.ok((targets[0] as number) <= 20_000 + 5 * 96, `${targets[0]}`)
  assert.ok((targets.at(-1) as number) >= 20_000 + 5 * 170, `${targets.at(-1)}`)
})
