// `peerpost status` beside a host and agents that run as users run them.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { test } from 'node:test'
import { controlFileOf } from '../../src/api/control-file.ts'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { TestDeployment } from '../harness/test-deployment.ts'

function status(config: string, ...args: string[]) {
  const run = spawnSync(process.execPath, ['src/cli/main.ts', 'status', '--config', config, ...args], {
    encoding: 'utf8',
    timeout: 30_000,
  })
  return { code: run.status, out: run.stdout, err: run.stderr }
}

function fails(line: RegExp, config: string, ...args: string[]): void {
  const { code, out, err } = status(config, ...args)
  assert.match(err, line)
  assert.deepEqual([code, out, err.trim().split('\n').length], [1, '', 1])
}

test('status tells what agent and host do while they run, and that they do not run afterwards', async (context) => {
  const deployment = await TestDeployment.withHost(deferIn(context))
  await Promise.all([deployment.makeAgent('anna'), deployment.makeAgent('ben')])
  const [annas, hosts] = [deployment.agentConfig('anna'), deployment.hostConfig()]
  fails(/^peerpost: No daemon runs with .*agent\.toml.*Start it: `peerpost agent --config/, annas)
  fails(/There is no config file/, join(deployment.folder, 'nothing.toml'))

  const anna = deployment.startAgent('anna', ['--expose', 'udp:7777'])
  await anna.waitFor('replied')
  const ben = deployment.startAgent('ben')
  await Promise.all([anna.waitFor('connected'), ben.waitFor('connected')])

  const person = status(annas)
  assert.equal(person.code, 0, person.err)
  assert.match(person.out, /^anna in the room friends: joined for \d+ s\n/)
  assert.match(person.out, /\n {2}mailbox {3}connected for/)
  assert.match(person.out, /\n {2}ports {5}udp:7777 open to the room/)
  assert.match(
    person.out,
    /\n {2}players {3}ben +linked +(directly|inside the local network) \(\S+…\]?:\d+\)/,
  )
  assert.ok(!person.out.includes('\u001b'), 'no colour but on terminals')

  const program = JSON.parse(status(annas, '--json').out)
  assert.deepEqual([program.event, program.role, program.state], ['status', 'agent', 'joined'])
  assert.deepEqual([program.peers[0].name, program.peers[0].state], ['ben', 'linked'])

  const host = status(hosts)
  assert.match(host.out, /^Host at h…@deployment\.test for friends: ready/)
  assert.match(host.out, /\n {2}table {5}2 of 10000 agents\n/)
  assert.match(host.out, /\n {2}letters {8}2 {2}request accepted/)
  assert.equal(JSON.parse(status(hosts, '--json').out).budgets.table.used, 2)

  const piped = status(annas, '--open')
  assert.deepEqual([piped.code, piped.out], [2, ''])
  assert.match(piped.err, /--open prints a secret, and standard output is no terminal/)
  assert.equal(
    anna.events.some(({ line }) => /code=/.test(String(line ?? ''))),
    false,
  )

  const watching = new PeerpostProcess('status', ['status', '--config', annas, '--watch', '--json'])
  await watching.waitFor('status')
  await ben.stop(8_000)
  await watching.waitFor('status', ({ peers }) => (peers as { state: string }[])[0]?.state === 'gone')
  assert.equal(await watching.stop(8_000), 0)

  assert.equal(await anna.stop(8_000), 0)
  assert.equal(existsSync(controlFileOf(annas)), false)
  fails(/No daemon runs/, annas)
})

test('a daemon that was killed does not run, whoever has its port now, and the next one is found', async (context) => {
  const defer = deferIn(context)
  const deployment = await TestDeployment.withHost(defer)
  await deployment.makeAgent('anna')
  const config = deployment.agentConfig('anna')
  const first = deployment.startAgent('anna')
  await first.waitFor('ready')
  first.kill('SIGKILL')
  await first.ended
  fails(/No daemon runs/, config)

  const other = createServer((socket) => socket.end('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}'))
  other.listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  defer(async () => void other.close())
  const { port } = other.address() as { port: number }
  writeFileSync(controlFileOf(config), `{"url":"http://127.0.0.1:${port}","token":"${'x'.repeat(43)}"}`, {
    mode: 0o600,
  })
  const asked = new PeerpostProcess('status', ['status', '--config', config])
  assert.equal(await asked.ended, 1)
  assert.match(asked.errors, /is not the daemon of/)

  await deployment.startAgent('anna').waitFor('ready')
  assert.equal(status(config).code, 0)
})

test('a control port that is taken keeps the daemon from starting, and switched off there is none', async (context) => {
  const defer = deferIn(context)
  const deployment = await TestDeployment.withHost(defer)
  const other = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  defer(async () => void other.close())
  const { port } = other.address() as { port: number }
  await deployment.makeAgent('anna', 'host', [['# listen = "127.0.0.1:0"', `listen = "127.0.0.1:${port}"`]])
  const child = deployment.startAgent('anna')
  assert.equal(await child.ended, 1)
  assert.match(
    child.errors,
    new RegExp(`cannot use TCP port ${port} of 127\\.0\\.0\\.1: another program uses it`),
  )
  rmSync(join(deployment.folder, 'anna'), { recursive: true })
  await deployment.makeAgent('anna', 'host', [['# enabled = true', 'enabled = false']])
  await deployment.startAgent('anna').waitFor('ready')
  fails(/or its \[control\] is switched off/, deployment.agentConfig('anna'))
})

test('in a terminal, and only there, an address for the page is printed, by the daemon and by --open', async (context) => {
  const defer = deferIn(context)
  const deployment = await TestDeployment.withHost(defer)
  await deployment.makeAgent('anna')
  const config = deployment.agentConfig('anna')
  const inTerminal = (args: string) => {
    const command = `'${process.execPath}' src/cli/main.ts ${args} --config '${config}'`
    const child = spawn('script', ['-qefc', command, '/dev/null'], { stdio: ['pipe', 'pipe', 'ignore'] })
    let text = ''
    child.stdout.setEncoding('utf8').on('data', (part: string) => {
      text += part
    })
    const ended = once(child, 'close')
    return {
      ended,
      said: async (wanted: RegExp) => {
        while (!wanted.test(text)) await once(child.stdout, 'data')
        return wanted.exec(text)?.[1] ?? ''
      },
      interrupt: () => child.stdin.write('\x03'),
    }
  }
  const address = /(http:\/\/127\.0\.0\.1:\d+\/#code=[\w-]{43})/
  const daemon = inTerminal('agent')
  defer(async () => daemon.interrupt())
  const atStart = await daemon.said(address)
  await daemon.said(/(is ready for the room)/)
  const onDemand = inTerminal('status --open')
  const later = await onDemand.said(address)
  await onDemand.ended
  assert.notEqual(atStart, later)
  for (const url of [atStart, later]) {
    const [place = '', code = ''] = url.split('/#code=')
    const response = await fetch(`${place}/v1/session`, { method: 'POST', body: JSON.stringify({ code }) })
    assert.equal(response.status, 200)
  }
  daemon.interrupt()
  await daemon.ended
})
