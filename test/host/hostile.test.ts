// Hostile mails: each kind alone, then thousands of all kinds mixed. `npm run bench -- hostile` sends 100,000.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DropReason } from '../../src/host/host.ts'
import { Attacker } from '../harness/hostile/attacker.ts'
import { runCampaign } from '../harness/hostile/campaign.ts'
import { hostileKinds } from '../harness/hostile/hostile-mails.ts'
import { headerOf, textOf } from './fakes.ts'
import { Stage } from './virtual-hosts.ts'

const seed = Number(process.env.PEERPOST_TEST_SEED ?? 20261124)

/** Where each reason is tested: 'here' by a kind of hostile mail, or in another file. */
const reasons: Readonly<Record<DropReason, 'here' | string>> = {
  'too-big': 'here',
  'bad-mail': 'here',
  'no-letter': 'here',
  'several-letters': 'here',
  mangled: 'here',
  'unknown-version': 'here',
  'wrong-key': 'here',
  malformed: 'here',
  unsigned: 'here',
  misdirected: 'here',
  stale: 'here',
  'from-the-future': 'here',
  copy: 'here',
  'wrong-return-address': 'here',
  unauthenticated: 'authenticated.test.ts',
  'not-a-member': 'here',
  'invite-required': 'invites.test.ts',
  'invite-ended': 'invites.test.ts',
  'invite-revoked': 'invites.test.ts',
  'invite-used-up': 'invites.test.ts',
  blocked: 'limits.test.ts',
  'too-often': 'limits.test.ts',
  'unexpected-kind': 'here',
  'unknown-host': 'here',
  'asked-for': 'representative.test.ts',
  'unknown-sender': 'here',
  'unknown-peer': 'here',
  automatic: 'here',
  bounce: 'here',
  unreachable: 'here',
}

test('there is a hostile mail for every reason to drop one', () => {
  const made = new Set(Object.values(hostileKinds).map(({ reason }) => reason))
  for (const [reason, where] of Object.entries(reasons)) {
    if (where === 'here') assert.ok(made.has(reason as DropReason), reason)
  }
})

test('each kind of hostile mail is dropped for its reason, changes nothing and is not answered', async (t) => {
  const stage = await new Stage({
    unreachable: { firstMs: 1e9, lastMs: 1e9, rememberMs: 1e9, capacity: 10 },
  }).start()
  const attacker = new Attacker(stage.keys, stage.room, seed, () => stage.now)
  for (const agent of [attacker.member, attacker.gone]) {
    const mail = agent.mailRequest(stage.now)
    stage.deliver(mail)
    attacker.record(mail)
  }
  await stage.pass(5_000)
  const reply = stage.sender.sent.find(
    ({ to, raw }) => to[0] === attacker.gone.address && headerOf({ raw }, 'In-Reply-To'),
  )
  assert.ok(reply)
  attacker.bounce = `Return-Path: <>\r\nFrom: <mailer-daemon@mail.test>\r\nTo: <host@mail.test>\r\n\r\n${textOf(reply)}`
  stage.deliver(attacker.bounce)
  await stage.settle()
  assert.deepEqual(stage.drops(), ['bounce'])
  // Only mails of living addresses are sent again, as in the campaign.
  attacker.old.pop()
  const sent = stage.sender.tried.length
  for (const [name, { reason, make }] of Object.entries(hostileKinds)) {
    await t.test(name, async () => {
      const before = stage.drops().length
      stage.deliver(Buffer.from(make(attacker), 'latin1'))
      await stage.pass(1_000)
      const [dropReason, ...more] = stage.drops().slice(before)
      assert.deepEqual(more, [])
      if (reason !== null) assert.equal(dropReason, reason)
      assert.equal(stage.sender.tried.length, sent)
      assert.equal(stage.host.counters().entries, 2)
    })
  }
  await stage.stop()
})

test(`a thousand hostile mails get no answer, and a request in between gets one (seed ${seed})`, {
  timeout: 120_000,
}, async () => {
  const report = await runCampaign({ letters: 1_000, seed, batch: 250, controls: 5 })
  assert.equal(report.troubles, 0)
  assert.equal(report.accepted, report.controls)
  assert.equal(report.repliesSent, report.controls)
  assert.equal(report.waitingMails, 0)
  const dropped = Object.values(report.dropped).reduce((sum, count) => sum + count, 0)
  assert.equal(dropped, report.delivered - report.leftAlone + 1)
  for (const [reason, count] of Object.entries(report.expected)) {
    assert.ok((report.dropped[reason] ?? 0) >= count, `${reason}: ${report.dropped[reason]} of ${count}`)
  }
  for (const [reason, where] of Object.entries(reasons)) {
    if (where === 'here') assert.ok((report.dropped[reason] ?? 0) > 0, reason)
  }
  assert.equal(report.entries, report.controls)
  assert.ok(
    report.filesAfter <= report.filesBefore,
    `${report.filesBefore} files, later ${report.filesAfter}`,
  )
})
