import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CheckKeys } from '../../src/punch/check-packet.ts'
import { TcpCheck } from '../../src/punch/tcp-check.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'

const crypto = seededCrypto(5)
const [tag, firstKey, secondKey] = [crypto.randomBytes(8), crypto.randomBytes(32), crypto.randomBytes(32)]
const annaKeys: CheckKeys = { tag, sendKey: firstKey, receiveKey: secondKey }
const benKeys: CheckKeys = { tag, sendKey: secondKey, receiveKey: firstKey }
const [annaEndpoint, benEndpoint] = [
  { address: '11.0.0.1', port: 1 },
  { address: '11.0.0.2', port: 2 },
]

function pair() {
  return {
    anna: new TcpCheck(crypto, annaKeys, benEndpoint),
    ben: new TcpCheck(crypto, benKeys, annaEndpoint),
  }
}

/** Exchanges packets until both sides are silent. */
function exchange(anna: TcpCheck, ben: TcpCheck, benStarts: boolean) {
  let toBen = [...anna.start()]
  let toAnna = benStarts ? [...ben.start()] : []
  const proven: { anna?: unknown; ben?: unknown } = {}
  for (let round = 0; round < 4; round++) {
    const fromBen = toBen.flatMap((bytes) => {
      const result = ben.handlePacket(bytes)
      assert.ok(result)
      if (result.provenEndpoint) proven.ben = result.provenEndpoint
      return result.answers
    })
    const fromAnna = toAnna.flatMap((bytes) => {
      const result = anna.handlePacket(bytes)
      assert.ok(result)
      if (result.provenEndpoint) proven.anna = result.provenEndpoint
      return result.answers
    })
    ;[toBen, toAnna] = [[...fromAnna], [...fromBen]]
  }
  return proven
}

for (const [how, benStarts] of [
  ['one side starts', false],
  ['both sides start', true],
] as const) {
  test(`when ${how}, both are proven and learn their endpoint as the other sees it`, () => {
    const { anna, ben } = pair()
    assert.deepEqual(exchange(anna, ben, benStarts), { anna: annaEndpoint, ben: benEndpoint })
    assert.ok(anna.isProven && ben.isProven)
  })
}

test('the passive side sends nothing before a valid check, and answers no stranger', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const { ben } = pair()
      assert.equal(ben.handlePacket(bytes), null)
    }),
  )
  const { anna, ben } = pair()
  const stranger = { ...annaKeys, sendKey: crypto.randomBytes(32) }
  const [forged] = new TcpCheck(crypto, stranger, benEndpoint).start()
  assert.ok(forged && ben.handlePacket(forged) === null)
  const [own] = ben.start()
  assert.ok(own && ben.handlePacket(own) === null, 'its own check, reflected')
  assert.equal(anna.isProven || ben.isProven, false)
})

test('a recorded check proves nothing, and is confirmed only once', () => {
  const { anna, ben } = pair()
  const [check] = anna.start()
  assert.ok(check)
  assert.equal(ben.handlePacket(check)?.answers.length, 2)
  assert.deepEqual(ben.handlePacket(check), { answers: [], provenEndpoint: null })
  assert.ok(!ben.isProven)
  const old = pair()
  const [oldCheck] = old.ben.start()
  assert.ok(oldCheck)
  const confirm = old.anna.handlePacket(oldCheck)?.answers.at(-1)
  assert.ok(confirm)
  assert.equal(ben.handlePacket(confirm)?.provenEndpoint, null, 'a confirmation of another connection')
})
