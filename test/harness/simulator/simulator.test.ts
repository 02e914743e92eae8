// The simulated NATs, networks and computers work as specified. All figures of the grid depend on that.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Endpoint } from '../../../src/base/endpoint.ts'
import { realCrypto, seededRandom } from '../seeded-crypto.ts'
import { cheapCrypto } from './cheap-crypto.ts'
import { behind, nat } from './nat-kinds.ts'
import { PortSpace, type PortSpaceOptions } from './port-space.ts'
import { SimulatedComputer, SimulatedSockets } from './simulated-computer.ts'
import { SimulatedMail } from './simulated-mail.ts'
import { type NatKind, SimulatedNat } from './simulated-nat.ts'
import { createInternet, createLan, type Datagram, type Segment } from './simulated-network.ts'
import { SimulatedTime } from './simulated-time.ts'

const bytes = Uint8Array.of(1)

test('timers fire in order of time, then of creation, and cancelled ones never', () => {
  const delays = fc.array(fc.record({ delay: fc.nat(20), cancelled: fc.boolean() }), { maxLength: 400 })
  fc.assert(
    fc.property(delays, (timers) => {
      const time = new SimulatedTime()
      const fired: { readonly at: number; readonly index: number }[] = []
      const cancels = timers.map(({ delay }, index) =>
        time.after(delay, () => fired.push({ at: time.now(), index })),
      )
      for (const [index, { cancelled }] of timers.entries()) if (cancelled) cancels[index]?.()
      time.run(30)
      const expected = timers
        .map(({ delay, cancelled }, index) => ({ at: delay, index, cancelled }))
        .filter(({ cancelled }) => !cancelled)
        .sort((a, b) => a.at - b.at || a.index - b.index)
        .map(({ at, index }) => ({ at, index }))
      assert.deepEqual(fired, expected)
    }),
  )
})

function ports(more: Partial<PortSpaceOptions> = {}) {
  const inUse = new Set<number>()
  const clock = new SimulatedTime()
  const space = new PortSpace({
    clock,
    random: seededRandom(1),
    choice: 1,
    isTaken: (port) => inUse.has(port),
    ...more,
  })
  const allocate = (preferred = 5_000) => {
    const port = space.allocate(preferred)
    if (port !== null) inUse.add(port)
    return port
  }
  return { space, clock, inUse, allocate }
}

for (const choice of [1, -1, 2, -2, 5]) {
  test(`ports advance in steps of ${choice}, and wrap around to ports that the step reaches`, () => {
    const { space, allocate, inUse } = ports({ choice })
    let last = allocate() as number
    let wraps = 0
    for (let i = 0; i < 70_000; i++) {
      // Only the order is tested.
      inUse.clear()
      const port = allocate() as number
      if (port - last !== choice) {
        wraps++
        const stride = Math.abs(choice)
        assert.ok(
          choice > 0 ? port < space.block.first + stride : port > space.block.last - stride,
          `${port}`,
        )
      }
      last = port
    }
    assert.ok(wraps >= Math.abs(choice))
  })
}

test('a port in use is skipped, and when all are in use there is none', () => {
  const { space, allocate, inUse } = ports({ choice: 2, blockPorts: 256 })
  const first = allocate() as number
  const { first: low, last: high } = space.block
  const inBlock = (port: number) => (port > high ? low + ((port - low) % 2) : port)
  inUse.add(inBlock(first + 2))
  assert.equal(allocate(), inBlock(inBlock(first + 2) + 2))
  // Every second one of 256, of which three are gone.
  for (let i = 0; i < 125; i++) assert.notEqual(allocate(), null)
  assert.equal(allocate(), null)
})

test('random ports of a block are distinct, inside it, and use it up completely', () => {
  const { space, allocate } = ports({ choice: 'random', blockPorts: 128 })
  const seen = new Set(Array.from({ length: 128 }, () => allocate()))
  assert.equal(seen.size, 128)
  assert.ok([...seen].every((port) => port !== null && port >= space.block.first && port <= space.block.last))
  assert.equal(allocate(), null)
})

for (const foreignAtOnce of [1, 20]) {
  test(`other connections take one port each, ${foreignAtOnce} at once`, () => {
    const { clock, allocate } = ports({ foreignPerSecond: 20, foreignAtOnce })
    const before = allocate() as number
    clock.run(600_000)
    const after = allocate() as number
    const passed = (after - before - 1 + 64_512) % 64_512
    assert.equal(passed % foreignAtOnce, 0)
    assert.ok(passed > 10_000 && passed < 14_000, `${passed}`)
  })
}

/** A LAN with one computer behind a NAT, and an Internet that records what its servers receive. */
function setUp(kind: NatKind, addresses: readonly string[] = ['11.0.2.1']) {
  const time = new SimulatedTime()
  const random = seededRandom(7)
  const internet = createInternet(time, random, 0)
  const lan = createLan(time, random)
  const gateway = new SimulatedNat({ clock: time, random, kind, addresses, outside: internet, inside: lan })
  const inside: Datagram[] = []
  const arrived: Datagram[] = []
  lan.join('192.168.1.10', { receive: (datagram) => inside.push(datagram) })
  for (const address of ['11.0.3.1', '11.0.3.2']) {
    internet.join(address, { receive: (datagram) => arrived.push(datagram) })
  }
  const home: Endpoint = { address: '192.168.1.10', port: 4_000 }
  const sendOut = (to: Endpoint, from = home, ttl?: number): Endpoint | undefined => {
    arrived.length = 0
    lan.send({ from, to, bytes, ...(ttl !== undefined && { ttl }) })
    time.run(100)
    return arrived[0]?.from
  }
  const isAccepted = (from: Endpoint, to: Endpoint, through: Segment = internet): boolean => {
    inside.length = 0
    through.send({ from, to, bytes })
    time.run(100)
    return inside.length > 0
  }
  return { time, gateway, internet, lan, home, sendOut, isAccepted }
}

const [oneA, oneB, two]: readonly [Endpoint, Endpoint, Endpoint] = [
  { address: '11.0.3.1', port: 10 },
  { address: '11.0.3.1', port: 11 },
  { address: '11.0.3.2', port: 10 },
]

for (const [mapping, sameAddress, otherAddress] of [
  ['EIM', true, true],
  ['ADM', true, false],
  ['APDM', false, false],
] as const) {
  test(`${mapping} gives ${sameAddress ? 'one port' : 'two ports'} to one address, and ${otherAddress ? 'the same' : 'another'} to the next`, () => {
    const { sendOut } = setUp(nat(mapping, 'APDF', { allocation: 'random' }))
    const [first, second, third] = [sendOut(oneA), sendOut(oneB), sendOut(two)]
    assert.equal(first?.port === second?.port, sameAddress)
    assert.equal(first?.port === third?.port, otherAddress)
  })
}

for (const [filtering, otherPort, otherAddress] of [
  ['EIF', true, true],
  ['ADF', true, false],
  ['APDF', false, false],
] as const) {
  test(`${filtering} accepts packets from known endpoints, ${otherPort ? 'and' : 'not'} from their other ports, ${otherAddress ? 'and' : 'not'} from others`, () => {
    const { sendOut, isAccepted, time } = setUp(nat('EIM', filtering))
    const mapped = sendOut(oneA) as Endpoint
    assert.ok(isAccepted(oneA, mapped))
    assert.equal(isAccepted(oneB, mapped), otherPort)
    assert.equal(isAccepted(two, mapped), otherAddress)
    time.run(10_000)
    assert.ok(!isAccepted(oneA, mapped), 'after its lifetime')
  })
}

test('a mapped port accepts everybody, and answers leave through it', () => {
  const { gateway, home, isAccepted, sendOut } = setUp(nat('APDM', 'APDF', { allocation: 'random' }))
  const mappedPort = gateway.mapPort(home, 7_777)
  assert.ok(isAccepted(two, mappedPort))
  assert.deepEqual(sendOut(two), mappedPort)
  assert.notDeepEqual(sendOut(oneA), mappedPort)
})

for (const hairpin of [true, false]) {
  test(`a datagram to the own public address ${hairpin ? 'returns' : 'is lost'} ${hairpin ? 'with' : 'without'} hairpinning`, () => {
    const { home, sendOut, lan, isAccepted } = setUp(nat('EIM', 'EIF', { hairpin }))
    const mapped = sendOut(oneA) as Endpoint
    assert.equal(isAccepted({ address: home.address, port: 4_001 }, mapped, lan), hairpin)
  })
}

test('a pool of addresses is used with paired or arbitrary pooling', () => {
  const pool = ['11.0.2.1', '11.0.2.2', '11.0.2.3', '11.0.2.4']
  const seen = (pooling: 'paired' | 'arbitrary') => {
    const { sendOut } = setUp(nat('APDM', 'APDF', { pooling }), pool)
    const homes = Array.from({ length: 20 }, (_, index) => ({ address: '192.168.1.10', port: 4_000 + index }))
    return new Set(homes.map((home) => sendOut(oneA, home)?.address)).size
  }
  assert.equal(seen('paired'), 1)
  assert.equal(seen('arbitrary'), 4)
})

test('after a change of address the old mappings are closed', () => {
  const { gateway, sendOut, isAccepted } = setUp(nat('EIM', 'EIF'))
  const before = sendOut(oneA) as Endpoint
  gateway.changeAddresses(['11.0.2.9'])
  assert.ok(!isAccepted(oneA, before))
  assert.equal(sendOut(oneA)?.address, '11.0.2.9')
})

test('a datagram with a small hop limit opens the NAT and does not arrive', () => {
  const { sendOut, isAccepted, home } = setUp(nat('EIM', 'ADF'))
  assert.equal(sendOut(oneA, home, 5), undefined)
  assert.ok(isAccepted(oneB, { address: '11.0.2.1', port: home.port }))
})

test('datagrams sent together reach the gateway in order, within two milliseconds', () => {
  const time = new SimulatedTime()
  const lan = createLan(time, seededRandom(9))
  const seen: number[] = []
  lan.gateway = { forward: ({ to }) => seen.push(to.port) }
  const sent = Array.from({ length: 20 }, (_, index) => 1_000 + index)
  for (const port of sent) lan.send({ from: oneB, to: { address: oneA.address, port }, bytes })
  time.run(2)
  assert.deepEqual(seen, sent)
})

test('two nested NATs are as strict as the stricter one, and ports come from the outer one', () => {
  const [easy, hard] = [
    { mapping: 'EIM', filtering: 'APDF', allocation: { type: 'preserving' } },
    { mapping: 'APDM', filtering: 'ADF', allocation: { type: 'sequential', step: 2 } },
  ] as const
  const expected = { mapping: 'APDM', filtering: 'APDF', allocation: hard.allocation }
  assert.deepEqual(behind(hard, easy), expected)
  assert.deepEqual(behind(easy, hard), expected)
})

test('extra sockets get their own ports, fail when there are too many, and receive nothing when closed', () => {
  const time = new SimulatedTime()
  const random = seededRandom(3)
  const internet = createInternet(time, random, 0)
  const local = { address: '11.0.1.1', port: 4_000 }
  const computer = new SimulatedComputer({ clock: time, random, segment: internet, local, maxSockets: 2 })
  const received: number[] = []
  const failed: number[] = []
  const sockets = new SimulatedSockets({
    clock: time,
    computer,
    onDatagram: (_bytes, _from, via) => received.push(via),
    onFailure: (via) => failed.push(via),
  })
  const arrived: Endpoint[] = []
  internet.join('11.0.3.1', { receive: ({ from }) => arrived.push(from) })
  for (const via of [0, 1, 2, 3]) sockets.send(bytes, oneA, via)
  assert.deepEqual(failed, [], 'told later')
  time.run(100)
  assert.deepEqual(failed, [3])
  assert.equal(new Set(arrived.map(({ port }) => port)).size, 3)
  sockets.close(1)
  for (const to of arrived) internet.send({ from: oneA, to, bytes })
  time.run(100)
  assert.deepEqual(received, [2])
  assert.throws(() => sockets.send(bytes, oneA, 1), /after it was closed/)
  sockets.closeAll()
  assert.equal(computer.openSockets, 0)
})

test('letters take 0.8 to 1.2 times the nominal time, and the given share arrives twice', () => {
  const time = new SimulatedTime()
  const mail = new SimulatedMail({ clock: time, random: seededRandom(5), delayMs: 30_000, doubled: 0.5 })
  const times: number[] = []
  const first = Array.from({ length: 400 }, () => mail.send(() => times.push(time.now())))
  time.run(600_000)
  assert.ok(first.every((at) => at >= 24_000 && at <= 36_000 && times.includes(at)))
  assert.ok(times.length > 550 && times.length < 650, `${times.length}`)
})

test('the cheap crypto has the sizes of the real one and rejects altered data', () => {
  const key = fc.uint8Array({ minLength: 32, maxLength: 32 })
  const nonce = fc.uint8Array({ minLength: 24, maxLength: 24 })
  const text = fc.uint8Array({ maxLength: 60 })
  const crypto = cheapCrypto(1)
  const property = fc.property(
    key,
    nonce,
    text,
    text,
    fc.nat(),
    fc.nat(3),
    (k, n, message, header, position, index) => {
      const sealed = crypto.encrypt(k, n, message, header)
      assert.equal(sealed.length, realCrypto.encrypt(k, n, message, header).length)
      assert.deepEqual(crypto.decrypt(k, n, sealed, header), message)
      const parts = [k, n, sealed, header].map((part) => part.slice())
      const altered = parts[index] as Uint8Array
      if (altered.length === 0) return
      altered[position % altered.length] = (altered[position % altered.length] as number) ^ 1
      const [key2, nonce2, sealed2, header2] = parts as [Uint8Array, Uint8Array, Uint8Array, Uint8Array]
      assert.equal(crypto.decrypt(key2, nonce2, sealed2, header2), null)
    },
  )
  fc.assert(property)
})
