// Hosts and agents in order, and such with one thing wrong that is not their mail: the doctor names it, and what to do.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { after, before, test } from 'node:test'
import BetterSqlite3 from 'better-sqlite3'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { openHostDatabase } from '../../src/store/host-database.ts'
import { migrations } from '../../src/store/sqlite-schema.ts'
import { deferIn } from '../harness/defer.ts'
import { freePorts } from '../harness/mail-servers-processes.ts'
import { lacks } from '../harness/needs.ts'
import { assertNamed, faultsOf, runDoctor, Ward } from './doctor-ward.ts'

const skip = lacks('postfix', 'dovecot')
let ward: Ward

before(async () => {
  if (!skip) ward = await Ward.open()
})
after(async () => {
  if (!skip) await ward.close()
})

test('host and agent in order have neither fault nor warning, and other mail stays as it was', {
  skip,
}, async () => {
  for (const role of ['host', 'agent'] as const) {
    const user = role === 'host' ? 'host' : 'anna'
    for (let mail = 0; mail < 50; mail++) ward.drop(user, 200)
    const before = ward.mailsOf(user).length
    const findings = await ward.patient(role).examined()
    const checks = ['config', 'secrets', 'invite', 'daemon', ...(role === 'host' ? ['database'] : []), 'disk']
    const mail = ['receive', 'send', 'room', 'letter', 'clock', 'stun', ...(role === 'agent' ? ['nat'] : [])]
    const odd = findings.filter(
      ({ outcome, check }) => outcome !== 'ok' && check !== 'nat' && check !== 'disk',
    )
    assert.deepEqual(odd, [])
    assert.deepEqual(
      findings.map(({ check }) => check),
      [...checks, ...mail],
    )
    assert.match(
      findings.find(({ check }) => check === 'letter')?.text ?? '',
      /took \d.* and was removed again/,
    )
    assert.equal(ward.mailsOf(user).length, before)
  }
})

test('clock that is ahead, and clock that is a little off', { skip }, async () => {
  const shifted = (ms: number) => ({ ...systemClock, wallNow: () => systemClock.wallNow() + ms })
  const ahead = await ward.patient().examined(shifted(2 * 3_600_000))
  assertNamed(ahead, 'clock', /is 7\d\d\d s ahead of the mail server.*from the future/, /NTP/)
  const behind = await ward.patient().examined(shifted(-13 * 3_600_000))
  assertNamed(behind, 'clock', /behind the mail server.*too old/, /NTP/)
  const little = await ward.patient().examined(shifted(90_000))
  assert.deepEqual(faultsOf(little), [])
  assert.equal(little.find(({ check }) => check === 'clock')?.outcome, 'warning')
})

test('STUN server that is dead, or one of them', { skip }, async () => {
  const [dead = 0] = await freePorts(1)
  const deadStun = `127.0.0.1:${dead}`
  const all = ward.patient().change(/^servers = .*$/m, `servers = ["${deadStun}"]`)
  assertNamed(
    await all.examined(),
    'stun',
    new RegExp(`No STUN server answers \\(${deadStun}`),
    /UDP is let out/,
  )
  const [alive] = ward.stun.endpoints.map(formatEndpoint)
  const one = ward.patient().change(/^servers = .*$/m, `servers = ["${alive}", "${deadStun}"]`)
  const findings = await one.examined()
  assert.deepEqual(faultsOf(findings), [])
  const told = findings.find(({ check }) => check === 'stun')
  assert.deepEqual([told?.outcome, told?.text], ['warning', `These STUN servers do not answer: ${deadStun}.`])
})

test('STUN server given by an IPv6 address is no name to look up', { skip }, async () => {
  const [dead = 0] = await freePorts(1)
  const patient = ward.patient().change(/^servers = .*$/m, `servers = ["[::1]:${dead}", "[fd00::2]:3478"]`)
  const findings = await patient.examined()
  assert.deepEqual(
    findings.filter(({ check }) => check === 'names'),
    [],
  )
  assertNamed(findings, 'stun', new RegExp(`\\[::1\\]:${dead}, \\[fd00::2\\]:3478`), /UDP is let out/)
})

test('secret that others may read', { skip }, async () => {
  const patient = ward.patient()
  chmodSync(patient.path('identity.key'), 0o640)
  assertNamed(
    await patient.examined(),
    'secrets',
    /identity key .* can be read by others/,
    /chmod 600 .*identity\.key/,
  )
})

test('secret that is missing', { skip }, async () => {
  const patient = ward.patient()
  rmSync(patient.path('room.secret'))
  assertNamed(await patient.examined(), 'secrets', /room\.secret/, /backup/)
})

test('password in a config that others may read', { skip }, async () => {
  const patient = ward
    .patient()
    .change('send = "smtp://host%40mail.test@', 'send = "smtp://host%40mail.test:secret@')
  chmodSync(patient.config, 0o644)
  assertNamed(await patient.examined(), 'secrets', /A password in .* can be read by others/, /chmod 600/)
})

test('database that is damaged', { skip }, async () => {
  const patient = ward.patient()
  const path = patient.path('host.sqlite')
  openHostDatabase(path).close()
  const bytes = readFileSync(path)
  bytes.fill(0xff, 8192, 12_288)
  writeFileSync(path, bytes)
  assertNamed(await patient.examined(), 'database', /host\.sqlite is damaged/, /backup|Move it away/)
})

test('database from a newer version', { skip }, async () => {
  const patient = ward.patient()
  const database = openHostDatabase(patient.path('host.sqlite'))
  database.connection.exec(`PRAGMA user_version = ${migrations.length + 1}`)
  database.close()
  assertNamed(await patient.examined(), 'database', /written by a newer peerpost/, /Install that version/)
})

test('database of another program', { skip }, async () => {
  const patient = ward.patient()
  // The invite that was given out is in one of ours already.
  rmSync(patient.path('host.sqlite'))
  const other = new BetterSqlite3(patient.path('host.sqlite'))
  other.exec('CREATE TABLE thing (a)')
  other.close()
  assertNamed(await patient.examined(), 'database', /of another program/, /another path/)
})

test('disk that is full', { skip: skip || lacks('network namespaces') }, async (context) => {
  const patient = ward.patient()
  const disk = patient.path('disk')
  mkdirSync(disk)
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', disk], { encoding: 'utf8' })
  assert.equal(mounted.status, 0, mounted.stderr)
  deferIn(context)(() => spawnSync('umount', [disk]))
  patient.change('# path = "host.sqlite"', 'path = "disk/host.sqlite"')
  assertNamed(await patient.examined(), 'disk', /free on the disk of/, /Make room/)
})

test('setting that is misspelt', { skip }, async () => {
  const patient = ward.patient().change('# listen = "127.0.0.1:0"', 'lissten = "127.0.0.1:0"')
  const { code, out, err } = await runDoctor(patient, [])
  assert.equal(code, 1)
  assert.match(out, /^fault {4}config {4}.*unknown key "lissten".*\n {19}Did you mean "listen"\?$/)
  assert.match(err, /^peerpost: The doctor found 1 fault\./)
  assert.ok(!out.includes('\u001b'), 'no colour but on terminals')
})

test("agent at the host's own address", { skip }, async () => {
  const patient = ward.patient('agent').change('address = "anna@', 'address = "host@')
  assertNamed(await patient.examined(), 'invite', /the host's own address/, /of its own/)
})

test('invite that is cut short', { skip }, async () => {
  const patient = ward.patient('agent')
  const invite = readFileSync(patient.path('invite.secret'), 'utf8').trim()
  writeFileSync(patient.path('invite.secret'), `${invite.slice(0, -40)}\n`)
  assertNamed(await patient.examined(), 'invite', /only a part of an invite/, /Copy it again/)
})

test('daemon that runs with the config is asked, and its mail is left to it', { skip }, async (context) => {
  const patient = ward.patient()
  const host = new PeerpostProcess('host', ['host', '--config', patient.config, '--json'])
  deferIn(context)(() => host.stop(5_000))
  await host.waitFor('ready')
  const { code, out } = await runDoctor(patient, [])
  assert.equal(code, 0, out)
  assert.match(out, /^ok {7}daemon {4}The host of this config runs and is ready\.$/m)
  assert.match(out, /^ok {7}letter {4}A letter to ourselves took/m)
  assert.match(out, /\nNo faults.*$/)
  assert.deepEqual(
    host.events.filter(({ event }) => event === 'letter'),
    [],
  )
})
