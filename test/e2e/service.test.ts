// Daemons as services: what they tell systemd, their config read again at SIGHUP, their log, and their unit files.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { controlFileOf, readControlFile } from '../../src/api/control-file.ts'
import { Problem } from '../../src/base/problem.ts'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { openServiceManager } from '../../src/cli/systemd-notify.ts'
import type { HostStatus } from '../../src/daemon/host-schemas.ts'
import { assertExposition } from '../api/exposition-format.ts'
import { deferIn } from '../harness/defer.ts'
import { freePorts } from '../harness/mail-servers-processes.ts'
import { lacks } from '../harness/needs.ts'
import { NotifyListener } from '../harness/notify-listener.ts'
import { TestDeployment } from '../harness/test-deployment.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

/** A daemon stops within a second; of a busy machine more is borne. It is killed then, and has no exit code 0. */
const stopMs = 30_000
/** Of a test: every one waits for what it wants to see, a dozen starts of Node long. */
const timeout = 300_000

function edit(config: string, before: string | RegExp, after: string): void {
  const text = readFileSync(config, 'utf8')
  const changed = text.replace(before, after)
  assert.notEqual(changed, text, String(before))
  writeFileSync(config, changed)
}

/** What the control API of a daemon answers. */
async function ask(config: string, path: string, token?: string): Promise<Response> {
  const file = readControlFile(controlFileOf(config))
  assert.ok(file)
  return fetch(`${file.url}${path}`, { headers: { authorization: `Bearer ${token ?? file.token}` } })
}

async function hostStatus(config: string): Promise<HostStatus> {
  return (await (await ask(config, '/v1/status')).json()) as HostStatus
}

test('systemd is told when a host is ready, lives, reloads and stops', {
  timeout,
  skip: lacks('systemd-notify'),
}, async (context) => {
  const defer = deferIn(context)
  const deployment = await TestDeployment.withHost(defer)
  const listener = await NotifyListener.open(deployment.folder)
  defer(() => listener.close())
  await deployment.host.stop(30_000)
  const watchdog = ['WATCHDOG_USEC=600000']
  const host = deployment.startHost('host', [], {
    prefix: ['env', `NOTIFY_SOCKET=${listener.path}`, ...watchdog],
  })
  assert.match(await listener.hears(/READY=1/), /STATUS=Reading letters\./)
  await host.waitFor('ready')
  for (let beat = 0; beat < 3; beat++) await listener.hears(/^WATCHDOG=1$/)
  host.kill('SIGHUP')
  assert.match(await listener.hears(/RELOADING=1/), /MONOTONIC_USEC=\d+/)
  await host.waitFor('reloaded')
  await listener.hears(/READY=1/)
  const stopped = host.stop(stopMs)
  await listener.hears(/^STOPPING=1$/)
  assert.equal(await stopped, 0)
  assert.deepEqual(
    listener.heard.filter((line) => line !== 'WATCHDOG=1'),
    [],
  )
})

test('a beat of the watchdog that is slow to be said holds back the next ones, not what systemd waits for', async (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-notify-'))
  deferIn(context)(() => rmSync(folder, { recursive: true }))
  const said = join(folder, 'said')
  const script = `#!/bin/sh\necho "$*" >>${said}\nuntil [ -e ${folder}/free ]; do sleep 0.02; done\n`
  writeFileSync(join(folder, 'systemd-notify'), script, { mode: 0o700 })
  const clock = new VirtualClock()
  const manager = openServiceManager({
    clock,
    environment: { NOTIFY_SOCKET: 'none', PATH: `${folder}:${process.env.PATH}`, WATCHDOG_USEC: '600000' },
    processId: process.pid,
    onFailure: (reason) => assert.fail(reason),
  })
  await clock.advance(20 * 300)
  writeFileSync(join(folder, 'free'), '')
  await manager.stopping()
  await clock.advance(10_000)
  assert.equal(readFileSync(said, 'utf8'), 'WATCHDOG=1\nSTOPPING=1\n')
})

test('a host takes every changed setting at SIGHUP, and says which wait for a restart', {
  timeout,
}, async (context) => {
  const defer = deferIn(context)
  const deployment = await TestDeployment.withHost(defer)
  const config = deployment.hostConfig()
  const host = deployment.host
  await deployment.makeAgent('anna')
  const anna = deployment.startAgent('anna')
  await anna.waitFor('replied')
  assert.deepEqual((await hostStatus(config)).budgets.table, { used: 1, limit: 10_000 })

  edit(config, '# capacity = 10000', 'capacity = 500')
  host.kill('SIGHUP')
  const reloaded = await host.waitFor('reloaded')
  assert.deepEqual(reloaded.needsRestart, [])
  assert.deepEqual((await hostStatus(config)).budgets.table, { used: 1, limit: 500 })

  edit(config, '# listen = "127.0.0.1:0"', 'listen = "127.0.0.1:1"')
  edit(config, 'capacity = 500', 'capacity = 600')
  host.kill('SIGHUP')
  await host.waitFor('reloaded', ({ needsRestart }) => String(needsRestart) === 'control.listen')
  assert.equal((await hostStatus(config)).budgets.table.limit, 600)

  // It goes on working: whoever comes now is answered.
  await deployment.makeAgent('ben')
  await deployment.startAgent('ben').waitFor('replied', ({ peers }) => peers === 1)
})

test('a host keeps what it has when the new config is broken, or its servers do not let it in', {
  timeout,
}, async (context) => {
  const deployment = await TestDeployment.withHost(deferIn(context))
  const config = deployment.hostConfig()
  const host = deployment.host
  const good = readFileSync(config, 'utf8')
  const [dead = 0] = await freePorts(1)
  const broken = [
    [good.replace('\n[table]', '\n[tabel]'), /unknown key "tabel"/],
    [good.replace(/^send = .*$/m, `send = "smtp://127.0.0.1:${dead}"`), /refuses the connection/],
    [good.replace('secret_file = "room.secret"', 'secret_file = "none.secret"'), /none\.secret/],
  ] as const
  for (const [text, reason] of broken) {
    writeFileSync(config, text)
    host.kill('SIGHUP')
    await host.waitFor('not-reloaded', ({ problem }) => {
      const { message, remedy } = problem as { readonly message: string; readonly remedy: string }
      return reason.test(`${message} ${remedy}`)
    })
    assert.equal((await ask(config, '/readyz')).status, 200)
  }
  writeFileSync(config, good)
  await deployment.makeAgent('anna')
  await deployment.startAgent('anna').waitFor('replied')
})

test('an agent takes friends, blocked players and forwards at SIGHUP without losing a link', {
  timeout,
}, async (context) => {
  const defer = deferIn(context)
  const deployment = await TestDeployment.withHost(defer)
  await Promise.all([deployment.makeAgent('anna'), deployment.makeAgent('ben')])
  const config = deployment.agentConfig('anna')
  const game = createServer((socket) => socket.end('hello from the game\n'))
  game.listen(0, '127.0.0.1')
  await new Promise((resolve) => game.once('listening', resolve))
  defer(async () => void game.close())
  const { port } = game.address() as { readonly port: number }
  const anna = deployment.startAgent('anna')
  const ben = deployment.startAgent('ben', ['--expose', `tcp:${port}`])
  await Promise.all([anna.waitFor('connected'), ben.waitFor('connected')])
  const { id } = await ben.waitFor('ready')
  const [local = 0] = await freePorts(1)

  edit(config, /^# forward = .*$/m, `forward = ["tcp:${local}=ben:${port}"]`)
  edit(config, '# friends = []', `friends = ["${id}"]`)
  edit(config, '# links = 8', 'links = 4')
  anna.kill('SIGHUP')
  assert.deepEqual((await anna.waitFor('reloaded')).needsRestart, ['peers.links'])
  const status = (await (await ask(config, '/v1/status')).json()) as { forwards: string[] }
  assert.deepEqual(status.forwards, [`tcp:${local}=ben:${port}`])
  const friends = (await (await ask(config, '/v1/standings')).json()) as { friends: { id: string }[] }
  assert.deepEqual(
    friends.friends.map((friend) => friend.id),
    [id],
  )
  assert.equal(
    anna.events.some(({ event }) => event === 'disconnected'),
    false,
  )

  edit(config, /^forward = .*$/m, 'forward = ["tcp:nonsense"]')
  anna.kill('SIGHUP')
  await anna.waitFor('not-reloaded')
  edit(config, /^forward = .*$/m, 'forward = []')
  edit(config, 'links = 4', 'links = 8')
  edit(config, 'blocked = []', `blocked = ["${id}"]`)
  edit(config, /^# blocked/m, 'blocked')
  edit(config, /^friends = .*$/m, 'friends = []')
  anna.kill('SIGHUP')
  await anna.waitFor('disconnected')
  const later = (await (await ask(config, '/v1/status')).json()) as { forwards: string[] }
  assert.deepEqual(later.forwards, [])
})

test('the log is JSON lines on standard error without whole addresses; standard output stays as it was', {
  timeout,
}, async (context) => {
  const defer = deferIn(context)
  const deployment = await TestDeployment.withHost(defer)
  await deployment.host.stop(30_000)
  const quiet = deployment.startHost('host', [], {
    prefix: ['env', 'PEERPOST_LOG_LEVEL=debug'],
    output: '--quiet',
  })
  await deployment.makeAgent('anna')
  const anna = deployment.startAgent('anna')
  await anna.waitFor('replied')
  const { id } = await anna.waitFor('ready')
  assert.equal(await quiet.stop(stopMs), 0)
  assert.deepEqual(quiet.events, [], 'nothing on standard output')
  const lines = quiet.errors
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>)
  const told = (event: string) => lines.find((line) => line.event === event)
  assert.deepEqual([told('ready')?.level, told('ready')?.address], ['info', 'h…@deployment.test'])
  assert.match(String(told('ready')?.msg), /^The host is ready at h…@deployment\.test/)
  assert.match(String(told('ready')?.time), /^20\d\d-\d\d-\d\dT[\d:.]+Z$/)
  assert.deepEqual([told('letter')?.level, told('letter')?.kind], ['debug', 'request'])
  for (const secret of ['host@deployment.test', 'anna@deployment.test', String(id)])
    assert.ok(!quiet.errors.includes(secret))

  const silent = deployment.startHost('host', [], { prefix: ['env', 'PEERPOST_LOG_LEVEL=silent'] })
  await silent.waitFor('ready')
  assert.equal(await silent.stop(stopMs), 0)
  assert.equal(silent.errors, '')
})

test('life, readiness and numbers are told over HTTP, and readiness by the command', {
  timeout,
}, async (context) => {
  const deployment = await TestDeployment.withHost(deferIn(context))
  await deployment.host.stop(30_000)
  const config = deployment.hostConfig()
  const token = 'f'.repeat(64)
  writeFileSync(join(deployment.folder, 'host', 'metrics.token'), `${token}\n`, { mode: 0o600 })
  edit(config, '# metrics_token_file = ""', 'metrics_token_file = "metrics.token"')
  const ready = () => PeerpostProcess.run('status', ['status', '--ready', '--config', config])
  await assert.rejects(ready(), (thrown) => thrown instanceof Problem && /No daemon runs/.test(thrown.line))
  await deployment.startHost().waitFor('ready')
  assert.equal(await ready(), 'Ready.')
  assert.equal((await ask(config, '/healthz', '')).status, 200)
  assert.equal((await ask(config, '/metrics', '')).status, 401)
  assert.equal((await ask(config, '/v1/status', token)).status, 401)
  const numbers = await (await ask(config, '/metrics', token)).text()
  assertExposition(numbers)
  assert.match(numbers, /^peerpost_ready 1$/m)
  assert.match(numbers, /^peerpost_mailbox_scan_age_seconds \d/m)
})

test('the unit files are right, and the one for hosts allows little', {
  skip: lacks('systemd-analyze'),
}, (context) => {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-units-'))
  deferIn(context)(() => rmSync(folder, { recursive: true }))
  const analyze = (...args: string[]) => {
    const run = spawnSync('systemd-analyze', args, { encoding: 'utf8' })
    return { code: run.status, told: run.stdout + run.stderr }
  }
  for (const name of ['peerpost-host.service', 'peerpost-agent.service']) {
    const text = readFileSync(`config/${name}`, 'utf8')
    const [, command = ''] = /^ExecStart=(.*)$/m.exec(text) ?? []
    const [program, ...args] = command.split(' ')
    assert.equal(program, '/usr/local/bin/peerpost')
    // The very arguments are understood: only the file is not there.
    const run = spawnSync(process.execPath, ['src/cli/main.ts', ...args], { encoding: 'utf8' })
    assert.match(run.stderr, /^peerpost: There is no config file/)
    mkdirSync(folder, { recursive: true })
    const unit = join(folder, name)
    writeFileSync(unit, text.replace('/usr/local/bin/peerpost', '/bin/true'))
    assert.deepEqual(analyze('verify', '--man=no', unit), { code: 0, told: '' })
  }
  const { code, told } = analyze(
    'security',
    '--offline=true',
    '--threshold=20',
    join(folder, 'peerpost-host.service'),
  )
  assert.equal(code, 0, told)
})
