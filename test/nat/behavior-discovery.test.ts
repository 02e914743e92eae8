// The prober behind simulated NATs: what it finds with which servers, and what faulty servers can cause.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Endpoint } from '../../src/base/endpoint.ts'
import { decodeStun, encodeError, encodeSuccess } from '../../src/nat/stun-message.ts'
import { kindOf, nat, type SideName, sideNames } from '../harness/simulator/nat-kinds.ts'
import type { NatKind } from '../harness/simulator/simulated-nat.ts'
import { stunEndpoints } from '../harness/simulator/simulated-stun.ts'
import { Probing, plainServers, publicAddress } from './probing.ts'

const steps = [1, -1, 2, -2, 5] as const
const runs = 40

const expectedProfiles: Readonly<
  Record<SideName, readonly [mapping: string, filtering: string, allocation: string]>
> = {
  'no NAT': ['none', 'EIF', 'preserving'],
  'EIM+EIF': ['EIM', 'EIF', 'preserving'],
  'EIM+ADF': ['EIM', 'ADF', 'preserving'],
  'EIM+APDF': ['EIM', 'APDF', 'preserving'],
  'ADM+ADF sequential': ['ADM', 'ADF', 'sequential'],
  'APDM+APDF sequential': ['APDM', 'APDF', 'sequential'],
  'APDM+APDF random': ['APDM', 'APDF', 'random'],
}
for (const loss of [0, 0.05]) {
  for (const name of sideNames) {
    test(`${name} is recognised with ${loss * 100} % loss, within 1.5 s and 80 packets`, () => {
      for (let seed = 1; seed <= runs; seed++) {
        const step = steps[seed % steps.length] as number
        const probing = new Probing({ kind: kindOf(name, { step, foreignPerSecond: seed % 21 }), seed, loss })
        const { profile } = probing.verdict()
        const { mapping, filtering, allocation } = profile
        assert.deepEqual([mapping, filtering, allocation.type], expectedProfiles[name], `seed ${seed}`)
        if (allocation.type === 'sequential') assert.equal(allocation.step, step, `seed ${seed}`)
        assert.ok(probing.time.now() < 1_500, `seed ${seed}: ${probing.time.now()} ms`)
        assert.ok(probing.sockets.sent <= 80, `seed ${seed}: ${probing.sockets.sent} packets`)
        assert.equal(probing.sockets.size, 0, `seed ${seed}: sockets are left open`)
      }
    })
  }
}

for (const size of [128, 256, 1_000, 1_024]) {
  test(`a block of ${size} random ports is found`, () => {
    for (let seed = 1; seed <= runs; seed++) {
      const kind = nat('APDM', 'APDF', { allocation: 'random', blockPorts: size })
      const { profile } = new Probing({ kind, seed }).verdict()
      assert.ok(profile.allocation.type === 'random' && profile.allocation.block, `seed ${seed}`)
      const { first, last } = profile.allocation.block
      assert.ok(last - first < size * 2, `seed ${seed}: ${last - first}`)
    }
  })
}

const hardKinds: readonly [string, NatKind, string][] = [
  ['EIM', nat('EIM', 'APDF'), 'EIM'],
  ['ADM', nat('ADM', 'ADF', { allocation: 1 }), 'ADM'],
  ['APDM', nat('APDM', 'APDF', { allocation: 1 }), 'APDM'],
]
const [primary] = stunEndpoints as [Endpoint]
for (const [name, kind, mapping] of hardKinds) {
  test(`a single server with two addresses is enough to recognise ${name}`, () => {
    const { profile } = new Probing({ kind, servers: [primary] }).verdict()
    assert.equal(profile.mapping, mapping)
    assert.equal(profile.filtering, kind.filtering)
  })
}

test('without CHANGE-REQUEST filtering is unknown, and two servers show whether the mapping is EIM', () => {
  for (const [, kind, mapping] of hardKinds) {
    const { profile } = new Probing({ kind, servers: plainServers }).verdict()
    // With one port each they cannot tell ADM from APDM.
    assert.equal(profile.mapping, mapping === 'EIM' ? 'EIM' : 'APDM')
    assert.equal(profile.filtering, 'unknown')
    assert.equal(profile.allocation.type, mapping === 'EIM' ? 'preserving' : 'sequential')
  }
})

test('with one plain server the mapping is unknown, but the port allocation is found', () => {
  const kind = nat('APDM', 'APDF', { allocation: 2 })
  const { profile } = new Probing({ kind, servers: plainServers.slice(0, 1) }).verdict()
  assert.deepEqual(profile, {
    mapping: 'unknown',
    filtering: 'unknown',
    allocation: { type: 'sequential', step: 2 },
  })
})

test('every address of a pool is reported', () => {
  const kind = nat('APDM', 'APDF', { allocation: 'random', pooling: 'arbitrary' })
  const addresses = ['11.0.2.1', '11.0.2.2', '11.0.2.3']
  const seen = new Set<string>()
  for (let seed = 1; seed <= 20; seed++) {
    const { profile, publicEndpoints } = new Probing({ kind, seed, addresses }).verdict()
    assert.equal(profile.mapping, 'APDM')
    for (const { address } of publicEndpoints) seen.add(address)
  }
  assert.deepEqual([...seen].sort(), addresses)
})

test('without extra sockets there is still a verdict, and the mapping is right', () => {
  const kind = nat('APDM', 'APDF', { allocation: 1 })
  const { profile } = new Probing({ kind, maxSockets: 0 }).verdict()
  assert.deepEqual(profile, { mapping: 'APDM', filtering: 'unknown', allocation: { type: 'unknown' } })
})

test('one lying server among three does not hide an EIM NAT, and its false endpoint is the last candidate', () => {
  const falseEndpoint = { address: '11.6.6.6', port: 666 }
  const probing = new Probing({ kind: nat('EIM', 'APDF'), servers: plainServers })
  const [first] = plainServers as [Endpoint]
  probing.behave(first, (honest, request) =>
    answering(honest, request, (transactionId) => ({ transactionId, mapped: falseEndpoint })),
  )
  const { profile, publicEndpoints } = probing.verdict()
  assert.equal(profile.mapping, 'EIM')
  assert.deepEqual(publicEndpoints, [{ address: publicAddress, port: 40_000 }, falseEndpoint])
})

test('a silent server, a late one and one that answers twice cost less than a second', () => {
  const probing = new Probing({ kind: nat('EIM', 'ADF'), seed: 3 })
  const [first, second, third] = stunEndpoints as [Endpoint, Endpoint, Endpoint]
  probing.stun.behave(first, { isSilent: true })
  probing.stun.behave(second, { copies: 2 })
  probing.stun.behave(third, { lateMs: 5_000 })
  const { profile } = probing.verdict()
  assert.deepEqual([profile.mapping, profile.filtering], ['EIM', 'ADF'])
  assert.ok(probing.time.now() < 1_000, `${probing.time.now()}`)
})

test('servers that take more than a second still give the mapping within 3 s, and no wrong filtering', () => {
  for (const lateMs of [500, 1_000, 1_400]) {
    const probing = new Probing({ kind: nat('EIM', 'EIF'), seed: lateMs })
    for (const server of stunEndpoints) probing.stun.behave(server, { lateMs })
    const { mapping, filtering } = probing.verdict().profile
    assert.equal(mapping, 'EIM', `${lateMs} ms`)
    assert.ok(filtering === 'EIF' || filtering === 'unknown', `${lateMs} ms: ${filtering}`)
    assert.ok(probing.time.now() <= 3_000, `${probing.time.now()}`)
  }
})

test('a server that refuses or ignores CHANGE-REQUEST leaves the filtering unknown', () => {
  const [first] = plainServers as [Endpoint]
  const claimed = { address: '11.0.3.2', port: 4000 }
  const wantsChange = (request: { readonly bytes: Uint8Array }) => {
    const decoding = decodeStun(request.bytes)
    return decoding.ok && decoding.message.type === 'request' && decoding.message.change !== undefined
  }
  for (const isRefusing of [true, false]) {
    const probing = new Probing({ kind: nat('EIM', 'EIF'), servers: [first] })
    probing.behave(first, (honest, request) => {
      if (isRefusing && wantsChange(request)) return honest
      const mapped = request.from
      return {
        ...honest,
        ...answering(honest, request, (transactionId) => ({ transactionId, mapped, otherAddress: claimed })),
      }
    })
    assert.equal(probing.verdict().profile.filtering, 'unknown')
  }
})

test('an OTHER-ADDRESS that is not public or not different is never used', () => {
  const [first] = plainServers as [Endpoint]
  for (const otherAddress of [
    { address: '192.168.1.1', port: 53 },
    { address: '127.0.0.1', port: 53 },
    { address: '255.255.255.255', port: 53 },
    { address: first.address, port: 3479 },
    { address: '11.0.3.2', port: first.port },
    { address: '2600::1', port: 3479 },
  ]) {
    const probing = new Probing({ kind: nat('APDM', 'APDF', { allocation: 1 }), servers: [first] })
    probing.behave(first, (honest, request) =>
      answering(honest, request, (transactionId) => ({ transactionId, mapped: request.from, otherAddress })),
    )
    const { profile } = probing.verdict()
    assert.deepEqual([profile.mapping, profile.filtering], ['unknown', 'unknown'])
    // Only the first request and samples, all to the server itself.
    assert.ok(probing.sockets.sent <= 1 + 28, `${probing.sockets.sent}`)
  }
})

test('a server that names a third party as its other address makes us send it at most 20 packets', () => {
  const [first, , thirdParty] = plainServers as [Endpoint, Endpoint, Endpoint]
  const probing = new Probing({ kind: nat('APDM', 'APDF', { allocation: 1 }), servers: [first] })
  let received = 0
  const otherAddress = { ...thirdParty, port: 3479 }
  probing.behave(thirdParty, () => {
    received++
    return null
  })
  probing.behave(first, (honest, request) =>
    answering(honest, request, (transactionId) => ({ transactionId, mapped: request.from, otherAddress })),
  )
  const { profile } = probing.verdict()
  assert.equal(profile.filtering, 'unknown')
  probing.time.run(60_000)
  assert.ok(received > 0 && received <= 20, `${received}`)
})

test('error responses leave everything unknown, in time', () => {
  const probing = new Probing({ kind: nat('EIM', 'EIF'), servers: plainServers })
  for (const server of plainServers) {
    probing.behave(server, (honest) => ({ ...honest, bytes: encodeError(honest.bytes.slice(8, 20), 500) }))
  }
  const { profile } = probing.verdict()
  assert.deepEqual(profile, { mapping: 'unknown', filtering: 'unknown', allocation: { type: 'unknown' } })
})

test('when the provider assigns another address, the discovery runs again', () => {
  const probing = new Probing({ kind: nat('APDM', 'APDF', { allocation: 3 }), seed: 5 })
  probing.verdict()
  probing.nat?.changeAddresses(['11.0.2.77'])
  probing.time.run(60_000)
  assert.equal(probing.events.length, 2)
  const event = probing.events[1]?.event
  assert.equal(event?.type, 'changed')
  assert.deepEqual(event?.profile, {
    mapping: 'APDM',
    filtering: 'APDF',
    allocation: { type: 'sequential', step: 3 },
  })
  assert.ok(event?.publicEndpoints.every(({ address }) => address === '11.0.2.77'))
})

/** A success response instead of the server's own answer, with the same source and destination. */
function answering(
  honest: { readonly from: Endpoint; readonly to: Endpoint; readonly bytes: Uint8Array },
  request: { readonly bytes: Uint8Array },
  make: (transactionId: Uint8Array) => Parameters<typeof encodeSuccess>[0],
) {
  return { ...honest, bytes: encodeSuccess(make(request.bytes.slice(8, 20))) }
}
