// Invites that are over, told between hosts: each counts wherever the invite would let in, and only its maker can end it.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KeyPair } from '../../src/base/crypto.ts'
import { checkRevocation, makeRevocation } from '../../src/letter/invite-revocation.ts'
import type { Letter, Revocation, TableLetter } from '../../src/letter/letter-types.ts'
import { makePass, memberKeys, type RoomKeys } from '../../src/letter/room-membership.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { makeHostKeys } from './fakes.ts'
import { type OtherHost, type Stage, withPeerHost } from './virtual-hosts.ts'

const crypto = realCrypto
const dayMs = 24 * 3_600_000

/** An invite that this host made to the stage's room. */
function inviteOf(maker: KeyPair, stage: Stage): RoomKeys {
  return memberKeys(crypto, { pass: makePass(crypto, stage.room, maker, crypto.randomBytes(32), {}) })
}

function keyOf({ grant }: RoomKeys): Uint8Array {
  assert.ok(grant)
  return grant.key
}

/** The word of this host that the invite is over. */
function ended(invite: RoomKeys, by: KeyPair, stage: Stage): Revocation {
  return makeRevocation(crypto, by, { key: keyOf(invite), at: stage.now })
}

function tell(other: OtherHost, stage: Stage, ...revoked: readonly Revocation[]): Promise<void> {
  const table: TableLetter = { ...other.table(stage), revoked }
  stage.deliver(other.mail(table))
  return stage.settle()
}

async function ask(stage: Stage, name: string, room: RoomKeys): Promise<Letter | undefined> {
  const agent = stage.agent(name, undefined, room)
  stage.deliver(agent.mailRequest(stage.now))
  await stage.settle()
  return stage.lettersTo(agent).at(-1)
}

async function lettersLetIn(stage: Stage, name: string, room: RoomKeys): Promise<boolean> {
  const answer = await ask(stage, name, room)
  return answer?.kind === 'reply' && !answer.decline
}

/** What the stage's host told the other of invites that are over. */
function told(stage: Stage, other: OtherHost): readonly Revocation[] {
  return stage.lettersTo(other).flatMap((letter) => (letter.kind === 'table' ? (letter.revoked ?? []) : []))
}

test('who came by an invite that its host has ended is gone, and nobody comes by it any more', async () => {
  const { stage, other } = await withPeerHost()
  const invite = inviteOf(other.identity, stage)
  assert.ok(await lettersLetIn(stage, 'ann', invite))
  assert.equal(stage.host.counters().entries, 1)
  await tell(other, stage, ended(invite, other.identity, stage))
  assert.equal(stage.host.counters().entries, 0)
  assert.equal(await lettersLetIn(stage, 'ben', invite), false)
  assert.equal(stage.drops().at(-1), 'invite-revoked')
  await stage.stop()
})

test('an invite that was ended before anybody came by it here lets nobody in, after a restart either', async () => {
  const { stage, other } = await withPeerHost()
  const invite = inviteOf(other.identity, stage)
  await tell(other, stage, ended(invite, other.identity, stage))
  await stage.restart()
  assert.equal(await lettersLetIn(stage, 'ann', invite), false)
  assert.equal(stage.drops().at(-1), 'invite-revoked')
  await stage.stop()
})

test('a host cannot end the invites of others, nor a stranger anybody’s, nor may the word be altered', async () => {
  const { stage, other } = await withPeerHost()
  const [own, others] = [inviteOf(stage.keys.identity, stage), inviteOf(other.identity, stage)]
  assert.ok(await lettersLetIn(stage, 'ann', own))
  assert.ok(await lettersLetIn(stage, 'ben', others))
  const stranger = makeHostKeys().identity
  const genuine = ended(others, other.identity, stage)
  await tell(
    other,
    stage,
    ended(own, other.identity, stage),
    { ...ended(own, other.identity, stage), host: stage.keys.identity.publicKey },
    ended(others, stranger, stage),
    { ...genuine, at: genuine.at + 1 },
    { ...genuine, until: genuine.at },
    { ...genuine, key: keyOf(own) },
  )
  assert.equal(stage.host.counters().entries, 2)
  assert.ok(await lettersLetIn(stage, 'cid', own))
  assert.ok(await lettersLetIn(stage, 'dan', others))
  await stage.stop()
})

test('what a command ends is told to the hosts that are known, and again after a day', async () => {
  const { stage, other } = await withPeerHost()
  const invite = stage.invite()
  assert.ok(await lettersLetIn(stage, 'ann', invite))
  const word = ended(invite, stage.keys.identity, stage)
  stage.command((_invites, revocations) => assert.ok(revocations.add(word)))
  await stage.pass(10_000)
  assert.deepEqual(told(stage, other), [word])
  assert.ok(told(stage, other).every((revocation) => checkRevocation(crypto, revocation)))
  assert.equal(stage.host.counters().entries, 0)
  await stage.pass(60_000)
  assert.equal(told(stage, other).length, 1)
  stage.clock.jumpWall(dayMs)
  await stage.pass(10_000)
  assert.deepEqual(told(stage, other), [word, word])
  await stage.stop()
})

test('what another host tells is told on once, and what is known is not', async () => {
  const { stage, other } = await withPeerHost()
  const word = ended(inviteOf(other.identity, stage), other.identity, stage)
  await tell(other, stage, word)
  await stage.pass(10_000)
  assert.deepEqual(told(stage, other), [word])
  for (let times = 0; times < 3; times++) await tell(other, stage, word)
  await stage.pass(60_000)
  assert.equal(told(stage, other).length, 1)
  await stage.stop()
})

test('a host whose table is empty is told all that are over', async () => {
  const { stage, other } = await withPeerHost()
  const words = Array.from({ length: 40 }, () => ended(stage.invite(), stage.keys.identity, stage))
  stage.command((_invites, revocations) => {
    for (const word of words) revocations.add(word)
    revocations.markSent(words, stage.now)
  })
  stage.deliver(other.mail({ ...other.head(stage.now), kind: 'table-request', comparison: { newest: true } }))
  await stage.settle()
  const keys = (some: readonly Revocation[]) =>
    new Set(some.map(({ key }) => Buffer.from(key).toString('hex')))
  assert.deepEqual(keys(told(stage, other)), keys(words))
  await stage.stop()
})
