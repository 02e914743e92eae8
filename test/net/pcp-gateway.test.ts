// Port mapping requests over real sockets on loopback, to routers that lose packets, are old, refuse, or do not
// exist.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { viewOf } from '../../src/base/bytes.ts'
import { PcpGateway } from '../../src/net/portmap/pcp-gateway.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { loopback, udpServer } from './router-on-loopback.ts'

const request = { internalPort: 4321, externalPort: 4321, leaseMs: 600_000 }
const noTimeout = () => new AbortController().signal

/** The granting answer to a request, for 11.9.0.10:5000. */
function grantFor(request: Uint8Array): Buffer {
  const answer = Buffer.from(request)
  answer.writeUInt8(0x81, 1)
  answer.writeUInt16BE(5000, 42)
  answer.set([11, 9, 0, 10], 56)
  return answer
}

function natPmp(request: Buffer): Buffer {
  const opcode = request.readUInt8(1)
  if (request.readUInt8(0) !== 0) return Buffer.from([0, 0x80 | opcode, 0, 1, 0, 0, 0, 9])
  if (opcode === 0) return Buffer.from([0, 0x80, 0, 0, 0, 0, 0, 9, 11, 9, 0, 10])
  const [internal, lifetime] = [request.subarray(4, 6), request.subarray(8, 12)]
  return Buffer.concat([
    Buffer.from([0, 0x81, 0, 0, 0, 0, 0, 9]),
    internal,
    Buffer.from([0x13, 0x88]),
    lifetime,
  ])
}

async function startGateway(answer: (bytes: Buffer) => readonly Uint8Array[]) {
  const server = await udpServer(answer)
  const gateway = new PcpGateway({
    router: loopback,
    client: loopback,
    randomBytes: (length) => realCrypto.randomBytes(length),
    port: server.port,
  })
  return { server, gateway }
}

test('PCP: the router’s port and lease count, and the mapping is deleted with the same nonce', async () => {
  const { server, gateway } = await startGateway((bytes) => [grantFor(bytes)])
  try {
    const granted = await gateway.map(request, noTimeout())
    assert.deepEqual(granted, { external: { address: '11.9.0.10', port: 5000 }, lifetimeMs: 600_000 })
    assert.equal(gateway.language, 'PCP')
    await gateway.unmap(granted, 4321, noTimeout())
    const [map, unmap] = server.received
    assert.ok(map && unmap)
    assert.deepEqual(unmap.subarray(24, 36), map.subarray(24, 36))
    assert.deepEqual([viewOf(map).getUint32(4), viewOf(unmap).getUint32(4)], [600, 0])
    assert.deepEqual([...map.subarray(20, 24)], [127, 0, 0, 1], 'the client sends its own address')
  } finally {
    await server.close()
  }
})

test('a lost request is repeated, and datagrams that do not answer it are ignored', async () => {
  let requests = 0
  const { server, gateway } = await startGateway((bytes) => {
    const good = grantFor(bytes)
    const foreign = grantFor(bytes)
    foreign.fill(0, 24, 36)
    const noise = [Buffer.alloc(0), Buffer.from([2]), Buffer.alloc(1_200, 0x81), foreign]
    return requests++ === 0 ? noise : [...noise, good]
  })
  try {
    assert.deepEqual((await gateway.map(request, noTimeout())).external.port, 5000)
    assert.equal(requests, 2)
  } finally {
    await server.close()
  }
})

test('a router older than PCP is used by NAT-PMP, and from then on only by that', async () => {
  const { server, gateway } = await startGateway((bytes) => [natPmp(bytes)])
  try {
    const granted = await gateway.map(request, noTimeout())
    assert.deepEqual(granted, { external: { address: '11.9.0.10', port: 5000 }, lifetimeMs: 600_000 })
    assert.equal(gateway.language, 'NAT-PMP')
    const before = server.received.length
    await gateway.unmap(granted, 4321, noTimeout())
    const after = server.received.slice(before)
    assert.deepEqual(
      after.map((bytes) => bytes.toString('hex')),
      ['0001000010e1000000000000'],
    )
  } finally {
    await server.close()
  }
})

test('a refusal of the router ends the request', async () => {
  const { server, gateway } = await startGateway((bytes) => {
    const answer = grantFor(bytes)
    answer.writeUInt8(2, 3)
    return [answer]
  })
  try {
    await assert.rejects(gateway.map(request, noTimeout()), /refused \(code 2\)/)
  } finally {
    await server.close()
  }
})

test('a request to a closed port ends at once, and one without an answer when it is aborted', async () => {
  const { server, gateway } = await startGateway(() => [])
  const aborting = new AbortController()
  const requests = gateway.map(request, aborting.signal)
  aborting.abort(new Error('enough'))
  await assert.rejects(requests, /enough/)
  await assert.rejects(gateway.map(request, aborting.signal), /enough/)
  await server.refusePackets()
  await assert.rejects(gateway.map(request, noTimeout()), { code: 'ECONNREFUSED' })
  await server.close()
})
