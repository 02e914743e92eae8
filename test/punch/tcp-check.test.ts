import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { CheckKeys } from '../../src/punch/check-packet.ts'
import { TcpCheck } from '../../src/punch/tcp-check.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'

const crypto = seededCrypto(5)
const [tag, one, two] = [crypto.randomBytes(8), crypto.randomBytes(32), crypto.randomBytes(32)]
const annas: CheckKeys = { tag, sendKey: one, receiveKey: two }
const bens: CheckKeys = { tag, sendKey: two, receiveKey: one }
const [annaPlace, benPlace] = [
  { address: '11.0.0.1', port: 1 },
  { address: '11.0.0.2', port: 2 },
]

function pair() {
  return {
    anna: new TcpCheck(crypto, annas, benPlace),
    ben: new TcpCheck(crypto, bens, annaPlace),
  }
}

/** Everything that is said, until there is silence. */
function talk(anna: TcpCheck, ben: TcpCheck, benSpeaks: boolean) {
  let toBen = [...anna.ask()]
  let toAnna = benSpeaks ? [...ben.ask()] : []
  const proven: { anna?: unknown; ben?: unknown } = {}
  for (let turn = 0; turn < 4; turn++) {
    const fromBen = toBen.flatMap((bytes) => {
      const news = ben.take(bytes)
      assert.ok(news)
      if (news.provenAs) proven.ben = news.provenAs
      return news.answers
    })
    const fromAnna = toAnna.flatMap((bytes) => {
      const news = anna.take(bytes)
      assert.ok(news)
      if (news.provenAs) proven.anna = news.provenAs
      return news.answers
    })
    ;[toBen, toAnna] = [[...fromAnna], [...fromBen]]
  }
  return proven
}

for (const [how, benSpeaks] of [
  ['one calls', false],
  ['both call', true],
] as const) {
  test(`when ${how}, both are proven and learn how the other sees them`, () => {
    const { anna, ben } = pair()
    assert.deepEqual(talk(anna, ben, benSpeaks), { anna: annaPlace, ben: benPlace })
    assert.ok(anna.isProven && ben.isProven)
  })
}

test('who is called says nothing before the caller has shown its keys, and nobody else is told anything', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      const { ben } = pair()
      assert.equal(ben.take(bytes), null)
    }),
  )
  const { anna, ben } = pair()
  const stranger = { ...annas, sendKey: crypto.randomBytes(32) }
  const [forged] = new TcpCheck(crypto, stranger, benPlace).ask()
  assert.ok(forged && ben.take(forged) === null)
  const [own] = ben.ask()
  assert.ok(own && ben.take(own) === null, 'its own check, sent back')
  assert.equal(anna.isProven || ben.isProven, false)
})

test('a recorded check proves nothing, and is confirmed once', () => {
  const { anna, ben } = pair()
  const [check] = anna.ask()
  assert.ok(check)
  assert.equal(ben.take(check)?.answers.length, 2)
  assert.deepEqual(ben.take(check), { answers: [], provenAs: null })
  assert.ok(!ben.isProven)
  const old = pair()
  const [oldCheck] = old.ben.ask()
  assert.ok(oldCheck)
  const confirm = old.anna.take(oldCheck)?.answers.at(-1)
  assert.ok(confirm)
  assert.equal(ben.take(confirm)?.provenAs, null, 'a confirmation of another connection')
})
