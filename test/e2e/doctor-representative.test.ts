// A representative host and its workers in order, and with one thing wrong each: the doctor names it, and what to do.

import assert from 'node:assert/strict'
import { appendFileSync, copyFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs'
import { basename, join } from 'node:path'
import { after, before, test } from 'node:test'
import BetterSqlite3 from 'better-sqlite3'
import type { Finding } from '../../src/cli/doctor/findings.ts'
import { readSeed } from '../../src/config/secret-files.ts'
import { openHostDatabase } from '../../src/store/host-database.ts'
import { deferIn } from '../harness/defer.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { lacks } from '../harness/needs.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { mailAt, TestDeployment } from '../harness/test-deployment.ts'
import { assertNamed, faultsOf, Patient } from './doctor-ward.ts'

const skip = lacks('postfix', 'dovecot')

let mailServers: MailServers
/** `meet` with the workers `first` and `second`, never run and never changed. */
let deployment: TestDeployment
const endings: (() => Promise<void>)[] = []
before(async () => {
  if (skip) return
  mailServers = await startMailServers()
  deployment = await TestDeployment.open(deferIn({ after: (work) => endings.push(work) }), {
    mailOf: mailAt(mailServers),
  })
  await deployment.makeRepresentation('meet', ['first', 'second'])
})
after(async () => {
  for (const end of endings) await end()
  await mailServers?.stop()
})

/** The name of a copy to break. */
function copyOf(name: string): string {
  const dir = mkdtempSync(join(deployment.folder, 'case-'))
  cpSync(join(deployment.folder, name), dir, { recursive: true })
  return basename(dir)
}

function patientOf(name: string): Patient {
  return new Patient(join(deployment.folder, copyOf(name)), 'host.toml')
}

function ofWorkers(findings: readonly Finding[]): readonly Finding[] {
  return findings.filter(({ check }) => check === 'workers')
}

test('representative and worker that were never run have no fault, and the doctor says whom it has not heard of', {
  ...{ skip, timeout: 120_000 },
}, async () => {
  const meet = await patientOf('meet').examined()
  assert.deepEqual(faultsOf(meet), [])
  assert.match(meet.find(({ check }) => check === 'invite')?.text ?? '', /its workers make the invites/)
  assert.deepEqual(
    ofWorkers(meet).map(({ outcome, text }) => [outcome, text]),
    ['first', 'second'].map((name) => [
      'warning',
      `Nothing was heard of the worker ${mailServers.address(name)} in the last 12 hours.`,
    ]),
  )
  const first = await patientOf('first').examined()
  assert.deepEqual(faultsOf(first), [])
  assert.match(
    ofWorkers(first)[0]?.text ?? '',
    /^A worker for 1 room of the representative meet@mail\.test, which has given it no letter lately\.$/,
  )
})

test('what is wrong with a representative is named', { ...{ skip, timeout: 180_000 } }, async () => {
  const alone = patientOf('meet').change(/\n\[\[hosts\]\]\ncard = "[^"]*"\n/g, '\n')
  assertNamed(await alone.examined(), 'workers', /knows no worker, so all letters wait/, /host peer add/)

  const itself = patientOf('meet').change('address = "meet@', 'address = "First@')
  assertNamed(
    await itself.examined(),
    'workers',
    /first@mail\.test in \[\[hosts\]\] has this host's own address/,
    /mailbox of its own/,
  )

  await deployment.makeHost(
    'twin',
    ['--join', await deployment.cardOf('first', '--room', 'friends')],
    'second',
  )
  const twins = copyOf('meet')
  await deployment.introduce(['twin'], [twins])
  assertNamed(
    await new Patient(join(deployment.folder, twins), 'host.toml').examined(),
    'workers',
    /Two of the \[\[hosts\]\] have the address second@mail\.test/,
    /Remove/,
  )

  const standing = patientOf('first').change(
    /\[standby\]\n.*\n# enabled = false/,
    '[standby]\nenabled = true',
  )
  assert.match(ofWorkers(await standing.examined())[0]?.text ?? '', /\[standby\] .* no effect here/)

  const roomy = patientOf('meet')
  copyFileSync(join(deployment.folder, 'first', 'room.secret'), roomy.path('room.secret'))
  appendFileSync(roomy.config, '\n[[rooms]]\nname = "friends"\nsecret_file = "room.secret"\n')
  assertNamed(await roomy.examined(), 'invite', /has no \[\[rooms\]\]/, /its workers have the rooms/)
})

test('what is wrong with a worker is named', { ...{ skip, timeout: 180_000 } }, async () => {
  const keyless = patientOf('first')
  rmSync(keyless.path('shared-sealing.key'))
  assertNamed(await keyless.examined(), 'secrets', /sealing key that workers share/, /backup/)

  const selfish = patientOf('first')
  copyFileSync(selfish.path('identity.key'), selfish.path('shared-identity.key'))
  assertNamed(await selfish.examined(), 'workers', /is the key of this worker alone/, /--join CARD/)

  const fronted = patientOf('first')
  copyFileSync(join(deployment.folder, 'meet', 'identity.key'), fronted.path('shared-identity.key'))
  assertNamed(await fronted.examined(), 'workers', /is that of the representative meet@/, /new keys/)

  const close = patientOf('first').change('address = "first@', 'address = "meet@')
  assertNamed(await close.examined(), 'workers', /this worker's own address, meet@/, /mailbox of its own/)

  const lone = patientOf('first').change(/\n\[\[hosts\]\]\ncard = "[^"]*"\n/g, '\n')
  const [alone] = ofWorkers(await lone.examined())
  assert.deepEqual([alone?.outcome, /knows no other one/.test(alone?.text ?? '')], ['warning', true])

  const odd = copyOf('first')
  await deployment.introduce(['meet'], [odd])
  assertNamed(
    await new Patient(join(deployment.folder, odd), 'host.toml').examined(),
    'workers',
    /meet@mail\.test is among the \[\[hosts\]\]/,
    /it belongs in \[represents\]/,
  )
})

test('a worker whose fellow shares other keys learns it from what that one tells', {
  ...{ skip, timeout: 120_000 },
}, async () => {
  const patient = patientOf('first')
  openHostDatabase(patient.path('host.sqlite')).close()
  const seed = readSeed(join(deployment.folder, 'second', 'identity.key'), 'The key')
  const second = realCrypto.signKeyPair(seed).publicKey
  const database = new BetterSqlite3(patient.path('host.sqlite'))
  database.pragma('foreign_keys = off')
  database
    .prepare(
      `INSERT INTO statement (item_key, room_id, user_id, version, flagged, leaf, print, signed, told_by)
       VALUES ('a', 1, ?, 'v', 0, 1, 1, ?, ?)`,
    )
    .run(realCrypto.randomBytes(32), realCrypto.randomBytes(90), second)
  database.close()
  assertNamed(
    await patient.examined(),
    'workers',
    /second@mail\.test reports 1 agent with other keys/,
    /the same shared-identity\.key/,
  )
})

test('of hosts that run the doctor says who was heard of, who was not, and which worker cannot open letters', {
  ...{ skip, timeout: 180_000 },
}, async () => {
  await deployment.makeAgent('anna', 'second')
  const odd = copyOf('first')
  // Any other keys than those that the second shares with agents.
  for (const key of ['shared-identity.key', 'shared-sealing.key'])
    copyFileSync(join(deployment.folder, 'second', 'room.secret'), join(deployment.folder, odd, key))
  const front = copyOf('meet')
  const meet = deployment.startHost(front)
  await meet.waitFor('ready')
  const first = deployment.startHost(odd)
  await meet.waitFor('letter', ({ kind }) => kind === 'taken')
  const at = (name: string) => new Patient(join(deployment.folder, name), 'host.toml').examined()
  const [heard, silent] = ofWorkers(await at(front))
  assert.deepEqual(
    [heard?.outcome, heard?.text],
    ['ok', 'The last letter of the worker first@mail.test came less than a minute ago.'],
  )
  assert.equal(silent?.outcome, 'fault')
  assert.match(silent?.text ?? '', /Nothing was heard of the worker second@/)

  deployment.startAgent('anna')
  await first.waitFor('letter', ({ reason }) => reason === 'wrong-key')
  assertNamed(
    await at(odd),
    'workers',
    /None of the \d+ letters? that came since the start could be opened/,
    /of a worker that answers/,
  )
})
