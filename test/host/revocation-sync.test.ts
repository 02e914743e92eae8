// Revocations between hosts: each applies wherever the invite is valid, and only the host that made the invite can revoke it.

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

/** A revocation of this invite, signed by `by`. */
function revocationOf(invite: RoomKeys, by: KeyPair, stage: Stage): Revocation {
  return makeRevocation(crypto, by, { key: keyOf(invite), at: stage.now })
}

function sendRevocations(other: OtherHost, stage: Stage, ...revoked: readonly Revocation[]): Promise<void> {
  const table: TableLetter = { ...other.table(stage), revoked }
  stage.deliver(other.mail(table))
  return stage.settle()
}

async function sendRequest(stage: Stage, name: string, room: RoomKeys): Promise<Letter | undefined> {
  const agent = stage.agent(name, undefined, room)
  stage.deliver(agent.mailRequest(stage.now))
  await stage.settle()
  return stage.lettersTo(agent).at(-1)
}

async function isAdmitted(stage: Stage, name: string, room: RoomKeys): Promise<boolean> {
  const answer = await sendRequest(stage, name, room)
  return answer?.kind === 'reply' && !answer.decline
}

/** The revocations that the stage's host sent to the other. */
function sentRevocations(stage: Stage, other: OtherHost): readonly Revocation[] {
  return stage.lettersTo(other).flatMap((letter) => (letter.kind === 'table' ? (letter.revoked ?? []) : []))
}

test('when a host revokes its invite, agents that came by it are removed, and it admits nobody any more', async () => {
  const { stage, other } = await withPeerHost()
  const invite = inviteOf(other.identity, stage)
  assert.ok(await isAdmitted(stage, 'ann', invite))
  assert.equal(stage.host.counters().entries, 1)
  await sendRevocations(other, stage, revocationOf(invite, other.identity, stage))
  assert.equal(stage.host.counters().entries, 0)
  assert.equal(await isAdmitted(stage, 'ben', invite), false)
  assert.equal(stage.drops().at(-1), 'invite-revoked')
  await stage.stop()
})

test('an invite that was revoked before its first use here admits nobody, also after a restart', async () => {
  const { stage, other } = await withPeerHost()
  const invite = inviteOf(other.identity, stage)
  await sendRevocations(other, stage, revocationOf(invite, other.identity, stage))
  await stage.restart()
  assert.equal(await isAdmitted(stage, 'ann', invite), false)
  assert.equal(stage.drops().at(-1), 'invite-revoked')
  await stage.stop()
})

test('a host can only revoke its own invites, a stranger none, and an altered revocation has no effect', async () => {
  const { stage, other } = await withPeerHost()
  const [own, others] = [inviteOf(stage.keys.identity, stage), inviteOf(other.identity, stage)]
  assert.ok(await isAdmitted(stage, 'ann', own))
  assert.ok(await isAdmitted(stage, 'ben', others))
  const stranger = makeHostKeys().identity
  const genuine = revocationOf(others, other.identity, stage)
  await sendRevocations(
    other,
    stage,
    revocationOf(own, other.identity, stage),
    { ...revocationOf(own, other.identity, stage), host: stage.keys.identity.publicKey },
    revocationOf(others, stranger, stage),
    { ...genuine, at: genuine.at + 1 },
    { ...genuine, until: genuine.at },
    { ...genuine, key: keyOf(own) },
  )
  assert.equal(stage.host.counters().entries, 2)
  assert.ok(await isAdmitted(stage, 'cid', own))
  assert.ok(await isAdmitted(stage, 'dan', others))
  await stage.stop()
})

test('a revocation by a command is sent to the known hosts, and again after a day', async () => {
  const { stage, other } = await withPeerHost()
  const invite = stage.invite()
  assert.ok(await isAdmitted(stage, 'ann', invite))
  const revocation = revocationOf(invite, stage.keys.identity, stage)
  stage.command((_invites, revocations) => assert.ok(revocations.add(revocation)))
  await stage.pass(10_000)
  assert.deepEqual(sentRevocations(stage, other), [revocation])
  assert.ok(sentRevocations(stage, other).every((revocation) => checkRevocation(crypto, revocation)))
  assert.equal(stage.host.counters().entries, 0)
  await stage.pass(60_000)
  assert.equal(sentRevocations(stage, other).length, 1)
  stage.clock.jumpWall(dayMs)
  await stage.pass(10_000)
  assert.deepEqual(sentRevocations(stage, other), [revocation, revocation])
  await stage.stop()
})

test('a revocation from another host is sent on once, and a known one is not', async () => {
  const { stage, other } = await withPeerHost()
  const revocation = revocationOf(inviteOf(other.identity, stage), other.identity, stage)
  await sendRevocations(other, stage, revocation)
  await stage.pass(10_000)
  assert.deepEqual(sentRevocations(stage, other), [revocation])
  for (let times = 0; times < 3; times++) await sendRevocations(other, stage, revocation)
  await stage.pass(60_000)
  assert.equal(sentRevocations(stage, other).length, 1)
  await stage.stop()
})

test('a host whose table is empty gets all revocations', async () => {
  const { stage, other } = await withPeerHost()
  const sent = Array.from({ length: 40 }, () => revocationOf(stage.invite(), stage.keys.identity, stage))
  stage.command((_invites, revocations) => {
    for (const revocation of sent) revocations.add(revocation)
    revocations.markSent(sent, stage.now)
  })
  stage.deliver(other.mail({ ...other.head(stage.now), kind: 'table-request', comparison: { newest: true } }))
  await stage.settle()
  const keys = (some: readonly Revocation[]) =>
    new Set(some.map(({ key }) => Buffer.from(key).toString('hex')))
  assert.deepEqual(keys(sentRevocations(stage, other)), keys(sent))
  await stage.stop()
})
