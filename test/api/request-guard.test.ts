import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AccessTokens, codeMs } from '../../src/api/access-tokens.ts'
import { RequestGuard } from '../../src/api/request-guard.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

function setUp(address = '127.0.0.1') {
  const clock = new VirtualClock()
  const crypto = seededCrypto(1)
  const access = new AccessTokens({ clock, randomBytes: (length) => crypto.randomBytes(length) })
  const guard = new RequestGuard({ clock, access, endpoint: () => ({ address, port: 7070 }) })
  const head = { host: '127.0.0.1:7070', origin: undefined, site: undefined, authorization: undefined }
  return { clock, access, guard, head, owner: { ...head, authorization: `Bearer ${access.token}` } }
}

test('callers without a token have a budget of their own: sixty requests, and ten a second', async () => {
  const { clock, guard, head, owner } = setUp()
  const codes = Array.from({ length: 100 }, () => guard.check(head, 'any-caller')?.code)
  assert.equal(codes.filter((code) => code === 'no-token').length, 60)
  assert.equal(codes.filter((code) => code === 'too-many').length, 40)
  for (let i = 0; i < 200; i++) assert.equal(guard.check(owner, 'any-caller'), null)
  assert.equal(guard.check(owner, 'any-caller')?.code, 'too-many')
  await clock.advance(1_000)
  assert.equal(guard.check(head, 'open'), null)
  for (let i = 0; i < 50; i++) assert.equal(guard.check(owner, 'any-caller'), null)
  assert.equal(guard.check(owner, 'any-caller')?.code, 'too-many')
})

test('only the host name of this server is accepted', () => {
  fc.assert(
    fc.property(fc.string(), (host) => {
      const { guard, owner } = setUp()
      assert.equal(guard.check({ ...owner, host }, 'any-caller')?.code, 'wrong-host')
      assert.equal(guard.check({ ...owner, host: undefined }, 'any-caller')?.code, 'wrong-host')
      assert.equal(guard.check({ ...owner, origin: host }, 'any-caller')?.code, 'wrong-origin')
    }),
  )
})

test('an IPv6 host name has brackets', () => {
  const { guard, owner } = setUp('::1')
  assert.equal(guard.check({ ...owner, host: '[::1]:7070' }, 'owner'), null)
  assert.equal(guard.check({ ...owner, host: '127.0.0.1:7070' }, 'owner')?.code, 'wrong-host')
})

test('only the token gives access', () => {
  const { access } = setUp()
  assert.equal(access.callerOf(`Bearer ${access.token}`), 'owner')
  fc.assert(
    fc.property(
      fc.string(),
      (text) => access.callerOf(text) === null && access.callerOf(`Bearer ${text}`) === null,
    ),
  )
  for (let i = 0; i < access.token.length; i++) {
    const other = access.token[i] === 'a' ? 'b' : 'a'
    assert.equal(
      access.callerOf(`Bearer ${access.token.slice(0, i)}${other}${access.token.slice(i + 1)}`),
      null,
    )
  }
})

test('a code is valid once, for five minutes and until eight newer ones; a page until sixteen newer ones', async () => {
  const { clock, access } = setUp()
  const old = access.newCode()
  await clock.advance(codeMs)
  assert.equal(access.redeem(old), null)
  const codes = Array.from({ length: 9 }, () => access.newCode())
  assert.equal(access.redeem(codes[0] ?? ''), null)
  const page = access.redeem(codes[1] ?? '')
  assert.ok(page)
  assert.equal(access.redeem(codes[1] ?? ''), null)
  assert.equal(access.callerOf(`Bearer ${page}`), 'page')
  for (let i = 0; i < 16; i++) {
    assert.equal(access.callerOf(`Bearer ${page}`), 'page')
    access.redeem(access.newCode())
  }
  assert.equal(access.callerOf(`Bearer ${page}`), null)
  assert.equal(access.callerOf(`Bearer ${access.token}`), 'owner')
})
