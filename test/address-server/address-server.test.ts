import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { startAddressServer } from '../../src/address-server/address-server.ts'
import { answerBinding } from '../../src/address-server/answer.ts'
import { Problem } from '../../src/base/problem.ts'
import { decodeStun, encodeError, encodeRequest, encodeSuccess } from '../../src/nat/stun.ts'
import { openUdpSocket } from '../../src/net/udp-socket.ts'

const transactionId = Uint8Array.from({ length: 12 }, (_, i) => i)
const from = { address: '11.0.0.7', port: 7777 }
const loopback = { address: '127.0.0.1', port: 0 }

test('a request is answered with where it came from and nothing more', () => {
  const answer = answerBinding(encodeRequest(transactionId), from)
  assert.ok(answer)
  assert.deepEqual(decodeStun(answer), {
    ok: true,
    message: { type: 'success', transactionId, mapped: from },
  })
  assert.equal(answer.length, 32)
})

test('a request that demands what we do not know is told so', () => {
  // CHANGE-REQUEST (RFC 5780 §7.2), which needs a second address.
  const request = Uint8Array.of(0, 1, 0, 8, 0x21, 0x12, 0xa4, 0x42, ...transactionId, 0, 3, 0, 4, 0, 0, 0, 6)
  const answer = answerBinding(request, from)
  assert.ok(answer)
  assert.deepEqual(decodeStun(answer), { ok: true, message: { type: 'error', transactionId, code: 420 } })
})

test('answers, errors and anything else that is no request get no answer, so that two servers cannot ping-pong', () => {
  assert.equal(answerBinding(encodeSuccess({ transactionId, mapped: from }), from), null)
  assert.equal(answerBinding(encodeError(transactionId, 420), from), null)
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => answerBinding(bytes, from) === null))
})

test('no answer is twice as large as its question', () => {
  const six = { address: '2a00::1', port: 1 }
  for (const place of [from, six]) {
    const question = encodeRequest(transactionId)
    assert.ok((answerBinding(question, place)?.length ?? 0) < question.length * 2)
  }
})

test('it listens on several places and tells each client its own endpoint', async () => {
  const server = await startAddressServer({ listen: [loopback, loopback] })
  try {
    for (const endpoint of server.endpoints) {
      let take: (bytes: Uint8Array) => void = () => {}
      const got = new Promise<Uint8Array>((resolve) => {
        take = resolve
      })
      const client = await openUdpSocket({
        family: 4,
        address: '127.0.0.1',
        onDatagram: (bytes) => take(bytes),
      })
      client.send(encodeRequest(transactionId), endpoint)
      const decoding = decodeStun(await got)
      assert.ok(decoding.ok && decoding.message.type === 'success')
      assert.deepEqual(decoding.message.mapped, client.local)
      await client.close()
    }
  } finally {
    await server.close()
  }
})

test('when one place is taken none stays open', async () => {
  const first = await startAddressServer({ listen: [loopback] })
  const [taken] = first.endpoints
  assert.ok(taken)
  const free = await startAddressServer({ listen: [loopback] })
  const [endpoint] = free.endpoints
  assert.ok(endpoint)
  await free.close()
  await assert.rejects(
    startAddressServer({ listen: [endpoint, taken] }),
    (error: unknown) => error instanceof Problem && error.code === 'port-taken',
  )
  await (await startAddressServer({ listen: [endpoint] })).close()
  await first.close()
})
