import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { allocationOf } from '../../src/nat/port-allocation.ts'
import { seededRandom } from '../harness/seeded-crypto.ts'

const examples: [sentence: string, ports: number[], expected: object][] = [
  ['five samples show nothing', [1, 2, 3, 4, 5].map((n) => 40_000 + n), { type: 'unknown' }],
  ['one port for two sockets is false', [5000, 5001, 5002, 5003, 5004, 5005, 5005], { type: 'unknown' }],
  ['steps of one', [5000, 5001, 5002, 5003, 5004, 5005], { type: 'sequential', step: 1 }],
  ['steps of minus two', [5010, 5008, 5006, 5004, 5002, 5000], { type: 'sequential', step: -2 }],
  [
    'steps of five with other connections in between',
    [5000, 5005, 5015, 5020, 5025, 5040, 5045, 5050],
    { type: 'sequential', step: 5 },
  ],
  [
    'more other connections than samples: the greatest common divisor',
    [5000, 5004, 5010, 5014, 5020, 5026],
    { type: 'sequential', step: 2 },
  ],
  [
    'one port that was in use and skipped',
    [5000, 5002, 5004, 5007, 5009, 5011, 5013, 5015],
    { type: 'sequential', step: 2 },
  ],
  [
    'a counter that wraps to its lower end',
    [65532, 65533, 65534, 65535, 1024, 1025, 1026, 1027, 1028],
    { type: 'sequential', step: 1 },
  ],
  [
    'a counter that wraps inside a block',
    [2045, 2046, 2047, 1536, 1537, 1538, 1539, 1540],
    { type: 'sequential', step: 1, block: { first: 1536, last: 2047 } },
  ],
  [
    'two samples that arrived in the wrong order',
    [5000, 5001, 5003, 5002, 5004, 5005, 5006, 5007, 5008],
    { type: 'sequential', step: 1 },
  ],
  [
    'an order with too many exceptions is unknown',
    [5000, 5300, 5011, 5012, 5600, 5014, 5020, 5021, 5001, 5023, 5024, 5025],
    { type: 'unknown' },
  ],
]
for (const [sentence, ports, expected] of examples) {
  test(sentence, () => assert.deepEqual(allocationOf(ports), expected))
}

const seeds = fc.integer({ min: 0, max: 2 ** 31 })

/** A counter with other connections between the samples; `othersPerSample` is their average number per sample. */
function counted(random: () => number, count: number, step: number, othersPerSample: number): number[] {
  const [first, last] = [1024, 65_535]
  let port = first + Math.floor(random() * (last - first))
  const next = () => {
    port += step
    if (port > last) port = first + ((port - last - 1) % 64)
    if (port < first) port = last - ((first - port - 1) % 64)
    return port
  }
  return Array.from({ length: count }, () => {
    while (random() < othersPerSample / (1 + othersPerSample)) next()
    return next()
  })
}

test('a counter is recognised with its step, with a fifth as many other connections as samples', () => {
  fc.assert(
    fc.property(
      seeds,
      fc.constantFrom(1, -1, 2, -2, 3, 4, 5, -5, 8, 16),
      fc.integer({ min: 10, max: 16 }),
      (seed, step, count) => {
        const allocation = allocationOf(counted(seededRandom(seed), count, step, 0.2))
        assert.equal(allocation.type, 'sequential')
        assert.equal(allocation.type === 'sequential' && allocation.step, step)
      },
    ),
    { numRuns: 2_000 },
  )
})

test('on a busy NAT the step found is a multiple of the true one, with its sign', () => {
  fc.assert(
    fc.property(
      seeds,
      fc.constantFrom(1, -1, 2, -2, 5, -5),
      fc.double({ min: 0, max: 4, noNaN: true }),
      (seed, step, othersPerSample) => {
        const allocation = allocationOf(counted(seededRandom(seed), 14, step, othersPerSample))
        if (allocation.type !== 'sequential') assert.fail(JSON.stringify(allocation))
        assert.equal(Math.sign(allocation.step), Math.sign(step))
        assert.equal(Math.abs(allocation.step % step), 0)
      },
    ),
    { numRuns: 2_000 },
  )
})

test('lost samples do not hide a counter', () => {
  fc.assert(
    fc.property(seeds, fc.constantFrom(1, -1, 5), (seed, step) => {
      const random = seededRandom(seed)
      const ports = counted(random, 14, step, 0.1).filter((_, at) => at % 4 !== seed % 4)
      const allocation = allocationOf(ports)
      assert.ok(
        allocation.type === 'sequential' && allocation.step === step,
        JSON.stringify([ports, allocation]),
      )
    }),
    { numRuns: 1_000 },
  )
})

/** Distinct random ports of the range of `size` from `first`. */
function drawn(random: () => number, count: number, first: number, size: number): number[] {
  const ports = new Set<number>()
  while (ports.size < count) ports.add(first + Math.floor(random() * size))
  return [...ports]
}

test('ports drawn from the full range are random without a block', () => {
  fc.assert(
    fc.property(seeds, fc.integer({ min: 10, max: 16 }), (seed, count) => {
      const ports = drawn(seededRandom(seed), count, 1024, 64_512)
      assert.deepEqual(allocationOf(ports), { type: 'random' })
    }),
    { numRuns: 5_000 },
  )
})

for (const [size, start] of [
  [128, 128],
  [256, 256],
  [1_000, 1_000],
  [1_024, 1_024],
  [256, 7],
  [1_000, 24],
] as const) {
  test(`a block of ${size} that begins at any multiple of ${start} is found with about its size`, () => {
    let [covered, found, tooLarge] = [0, 0, 0]
    const runs = 1_000
    for (let seed = 0; seed < runs; seed++) {
      const random = seededRandom(seed + 1)
      const first = Math.ceil((1024 + Math.floor(random() * 60_000)) / start) * start
      const allocation = allocationOf(drawn(random, 12, first, size))
      if (allocation.type !== 'random' || !allocation.block) continue
      found++
      const { block } = allocation
      covered += Math.min(block.last, first + size - 1) - Math.max(block.first, first) + 1
      if (block.last - block.first + 1 > size * 1.6) tooLarge++
    }
    assert.ok(found >= runs * 0.999, `found ${found}`)
    assert.ok(covered >= found * size * 0.95, `covers ${covered / found / size}`)
    assert.ok(tooLarge <= runs * 0.01, `too large ${tooLarge}`)
  })
}

test('for any list of ports the block is valid and the step is not 0', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 65_535 }), { maxLength: 40 }), (ports) => {
      const allocation = allocationOf(ports)
      if (allocation.type === 'sequential') assert.notEqual(allocation.step, 0)
      if (allocation.type === 'random' && allocation.block) {
        const { first, last } = allocation.block
        assert.ok(first >= 1 && last <= 65_535 && first <= last)
      }
    }),
  )
})
