// Asking over real sockets on loopback, of routers that lose packets, are old, refuse, or are not there.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import { viewOf } from '../../src/base/bytes.ts'
import { PcpGateway } from '../../src/net/portmap/pcp-gateway.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { loopback, udpServer } from './router-on-loopback.ts'

const request = { internalPort: 4321, externalPort: 4321, leaseMs: 600_000 }
const patient = () => new AbortController().signal

/** A request turned into its answer, for 11.9.0.10:5000. */
function granting(request: Uint8Array): Buffer {
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

async function asking(answer: (bytes: Buffer) => readonly Uint8Array[]) {
  const server = await udpServer(answer)
  const gateway = new PcpGateway({
    router: loopback,
    client: loopback,
    randomBytes: (length) => realCrypto.randomBytes(length),
    port: server.port,
  })
  return { server, gateway }
}

test('PCP: the port and lease that the router gives, and the same nonce when it is taken back', async () => {
  const { server, gateway } = await asking((bytes) => [granting(bytes)])
  try {
    const granted = await gateway.map(request, patient())
    assert.deepEqual(granted, { external: { address: '11.9.0.10', port: 5000 }, lifetimeMs: 600_000 })
    assert.equal(gateway.language, 'PCP')
    await gateway.unmap(granted, 4321, patient())
    const [map, unmap] = server.heard
    assert.ok(map && unmap)
    assert.deepEqual(unmap.subarray(24, 36), map.subarray(24, 36))
    assert.deepEqual([viewOf(map).getUint32(4), viewOf(unmap).getUint32(4)], [600, 0])
    assert.deepEqual([...map.subarray(20, 24)], [127, 0, 0, 1], 'the client says who it is')
  } finally {
    await server.close()
  }
})

test('a lost question is asked again, and what is no answer to it is not taken for one', async () => {
  let asked = 0
  const { server, gateway } = await asking((bytes) => {
    const good = granting(bytes)
    const foreign = granting(bytes)
    foreign.fill(0, 24, 36)
    const noise = [Buffer.alloc(0), Buffer.from([2]), Buffer.alloc(1_200, 0x81), foreign]
    return asked++ === 0 ? noise : [...noise, good]
  })
  try {
    assert.deepEqual((await gateway.map(request, patient())).external.port, 5000)
    assert.equal(asked, 2)
  } finally {
    await server.close()
  }
})

test('a router that is older than PCP is asked by NAT-PMP, and from then on by that alone', async () => {
  const { server, gateway } = await asking((bytes) => [natPmp(bytes)])
  try {
    const granted = await gateway.map(request, patient())
    assert.deepEqual(granted, { external: { address: '11.9.0.10', port: 5000 }, lifetimeMs: 600_000 })
    assert.equal(gateway.language, 'NAT-PMP')
    const before = server.heard.length
    await gateway.unmap(granted, 4321, patient())
    const after = server.heard.slice(before)
    assert.deepEqual(
      after.map((bytes) => bytes.toString('hex')),
      ['0001000010e1000000000000'],
    )
  } finally {
    await server.close()
  }
})

test('a router that refuses is believed', async () => {
  const { server, gateway } = await asking((bytes) => {
    const answer = granting(bytes)
    answer.writeUInt8(2, 3)
    return [answer]
  })
  try {
    await assert.rejects(gateway.map(request, patient()), /refused \(code 2\)/)
  } finally {
    await server.close()
  }
})

test('where nobody listens the asking ends at once, and where nobody answers when it is told to', async () => {
  const { server, gateway } = await asking(() => [])
  const impatient = new AbortController()
  const asked = gateway.map(request, impatient.signal)
  impatient.abort(new Error('enough'))
  await assert.rejects(asked, /enough/)
  await assert.rejects(gateway.map(request, impatient.signal), /enough/)
  await server.deafen()
  await assert.rejects(gateway.map(request, patient()), { code: 'ECONNREFUSED' })
  await server.close()
})
