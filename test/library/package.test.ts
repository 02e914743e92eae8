// Tests the published package: it is packed, installed as npm does, and imported, and its types are checked.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { deferIn } from '../harness/defer.ts'

function run(cwd: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' })
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

const program = `
import type { Duplex } from 'node:stream'
import { Agent, type AgentOptions, Host, type Peer, Problem } from 'peerpost'

const options: AgentOptions = {
  invite: 'peerpost1',
  name: 'anna',
  address: 'anna@example.net',
  receive: 'maildir:/nowhere',
  send: 'smtp://127.0.0.1:25',
  settings: { peers: { links: 3 } },
}
const agent = new Agent(options)
agent.on('connected', ({ peer, path }) => void peer.send('state', path.kind))
agent.on('failed', ({ peer, advice }) => console.log(peer.name, advice?.length))
const close: () => void = agent.onDatagram('state', (bytes: Uint8Array, peer: Peer) => void [bytes, peer])
const take = async (peer: Peer): Promise<Duplex> => peer.openStream('chat')
const host = new Host({ config: 'host.toml' })
host.on('letter', ({ kind, outcome }) => console.log(kind, outcome))
// @ts-expect-error there is no such event
agent.on('conected', () => {})
// @ts-expect-error an agent needs an invite
void [close, take, () => new Agent({ name: 'anna' })]
agent.start().catch((thrown: unknown) => console.log(thrown instanceof Problem && thrown.code))
`

test('the packed library is imported by name, with its types, and by require', (context) => {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-pack-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  // The build runs in a copy, so that it changes nothing here.
  const checkout = join(folder, 'checkout')
  for (const part of ['src', 'config', 'docs', 'package.json', 'tsconfig.json', 'README.md', 'CHANGELOG.md'])
    cpSync(part, join(checkout, part), { recursive: true })
  symlinkSync(resolve('node_modules'), join(checkout, 'node_modules'))
  const packed = JSON.parse(run(checkout, 'npm', 'pack', '--json', '--offline')) as [{ filename: string }]

  // The dependencies come from the checkout, so that the test needs no network.
  const app = join(folder, 'app')
  const installed = join(app, 'node_modules', 'peerpost')
  mkdirSync(installed, { recursive: true })
  run(app, 'tar', 'xzf', join(checkout, packed[0].filename), '-C', installed, '--strip-components=1')
  symlinkSync(resolve('node_modules'), join(folder, 'node_modules'))
  assert.deepEqual(
    readdirSync(installed).sort(),
    ['CHANGELOG.md', 'README.md', 'config', 'dist', 'docs', 'node_modules', 'package.json', 'src'],
    'src contains only the page',
  )
  assert.deepEqual(readdirSync(join(installed, 'src')), ['api'])
  const bundled = readdirSync(join(installed, 'node_modules'), { recursive: true, encoding: 'utf8' })
  assert.ok(bundled.includes(join('better-sqlite3', 'prebuilds', 'win32-x64.node')))
  assert.ok(
    !bundled.some((name) => /^better-sqlite3.build.*\.node$/.test(name)),
    'a binary that was compiled on this computer must not be published',
  )

  writeFileSync(join(app, 'package.json'), '{ "type": "module" }')
  writeFileSync(join(app, 'program.ts'), program)
  const strict = ['--strict', '--module', 'nodenext', '--target', 'es2024', '--types', 'node']
  run(app, resolve('node_modules/.bin/tsc'), '--noEmit', ...strict, 'program.ts')
  assert.equal(run(app, process.execPath, 'program.ts'), 'invite\n')
  const names =
    "console.log(Object.keys(require('peerpost')).filter((name) => name !== '__esModule').sort().join())"
  assert.equal(run(app, process.execPath, '--input-type=commonjs', '-e', names), 'Agent,Host,Problem\n')
  const inside = "import('peerpost/dist/agent/agent.js').catch((error) => console.log(error.code))"
  assert.equal(run(app, process.execPath, '-e', inside), 'ERR_PACKAGE_PATH_NOT_EXPORTED\n')
})
