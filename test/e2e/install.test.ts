// The first commands on other people's computers: the README's in a fresh clone, and the package as `npm pack` makes it,
// with old and new npm and Node, and nothing on the PATH to compile with. `npm run bench -- install` tries all pairs.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, symlinkSync } from 'node:fs'
import { arch, platform, tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, test } from 'node:test'
import { nodeVersionProblem } from '../../src/base/node-version.ts'
import { findProgram, lacks } from '../harness/needs.ts'

const skip = lacks('npm registry')
const options = { skip, timeout: 600_000 }
const folder = mkdtempSync(join(tmpdir(), 'peerpost-install-'))
after(() => rmSync(folder, { recursive: true, force: true }))

const oldest = '22.14.0'
const tooOld = '20'
const newest = '26'

/** Without what this process was told by its own npm and Node, which is not for those in there. */
const environment = Object.fromEntries(
  Object.entries(process.env).filter(([name]) => !/^npm_|^NODE_(?!EXTRA_CA_CERTS)/i.test(name)),
)

function run(path: string, cwd: string, command: string, ...args: string[]) {
  const env = {
    ...environment,
    PATH: path,
    npm_config_prefer_offline: 'true',
    npm_config_update_notifier: 'false',
  }
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, env, encoding: 'utf8' })
  return { status, stdout, stderr, all: `${command} ${args.join(' ')}: ${stdout}${stderr}` }
}

function succeeds(path: string, cwd: string, command: string, ...args: string[]): string {
  const { status, stdout, stderr, all } = run(path, cwd, command, ...args)
  assert.equal(status, 0, all)
  // What the npmrc of this computer's owner makes npm say is not ours.
  assert.equal(stderr.replace(/^npm warn Unknown (?:user|global) config.*\n/gim, ''), '', all)
  return stdout
}

/** Fetches a package without running anything of it. */
function fetchPackage(name: string, version: string): string {
  const prefix = join(folder, `${name}-${version}`)
  mkdirSync(prefix)
  const args = [
    'install',
    '--prefix',
    prefix,
    '--ignore-scripts',
    '--no-save',
    '--force',
    `${name}@${version}`,
  ]
  const { status, all } = run(environment.PATH ?? '', prefix, 'npm', ...args)
  assert.equal(status, 0, all)
  return join(prefix, 'node_modules', name)
}

const nodes = new Map<string, string>()

function nodeProgram(version: string): string {
  // Node 24 is here already.
  const known = version === '24' ? process.execPath : nodes.get(version)
  if (known) return known
  const fetched = join(fetchPackage(`node-${platform()}-${arch()}`, version), 'bin', 'node')
  nodes.set(version, fetched)
  return fetched
}

const npms = new Map<string, string>()

/** A PATH of these two and the shell that npm runs scripts by: no Python, no make, no compiler. */
function pathOf(npm: string, node: string): string {
  const path = mkdtempSync(join(folder, 'path-'))
  for (const name of ['sh', 'env']) symlinkSync(findProgram(name) ?? name, join(path, name))
  symlinkSync(nodeProgram(node), join(path, 'node'))
  const program = npms.get(npm) ?? join(fetchPackage('npm', npm), 'bin', 'npm-cli.js')
  npms.set(npm, program)
  symlinkSync(program, join(path, 'npm'))
  return path
}

test('no npm compiles: the lock file says of better-sqlite3 that there is nothing to build', () => {
  const { packages } = JSON.parse(readFileSync('package-lock.json', 'utf8')) as {
    packages: Record<string, { gypfile?: boolean } | undefined>
  }
  const remedy = 'npm left it out of package-lock.json when it changed it; `npm run mark-lock` puts it back'
  assert.equal(packages['node_modules/better-sqlite3']?.gypfile, false, remedy)
})

test('engines names the versions of Node that have what better-sqlite3 needs, and so do the documents', () => {
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } }
  assert.equal(engines.node, `^${oldest} || >=23.6.0`)
  assert.match(readFileSync('docs/library.md', 'utf8'), /\(22\.14 or newer; of 23, 23\.6 or newer\)/)
  assert.match(readFileSync('README.md', 'utf8'), /needs Node 22\.14 or newer \(of Node 23, 23\.6 or newer\)/)
  assert.equal(nodeVersionProblem(process.versions), null)
  const old = { ...process.versions, node: '22.13.1', napi: '9' }
  assert.match(
    nodeVersionProblem(old)?.line ?? '',
    /^Node 22\.13\.1 is too old\. Install Node 22\.14 or newer/,
  )
})

const triesAll = process.env.PEERPOST_TEST_INSTALLS === 'all'

/** An npm and a Node that runs it. */
type Pair = readonly [npm: string, node: string]

// Node 20 is what Debian 13 has, and npm 9.2 its npm.
const clonePairs: readonly Pair[] = [
  ['9.2.0', tooOld],
  ['11', oldest],
]
const moreClonePairs: readonly Pair[] = [
  ['10', oldest],
  ['11', tooOld],
  ['12', '24'],
]
for (const [npm, node] of triesAll ? [...clonePairs, ...moreClonePairs] : clonePairs) {
  test(`npm ci && npm run demo with npm ${npm} on Node ${node}, without a compiler`, options, () => {
    const path = pathOf(npm, node)
    const clone = join(folder, `clone-${npm}-${node}`)
    cpSync('.', clone, {
      recursive: true,
      filter: (source) => !/^(?:node_modules|dist|\.git|test-output)$/.test(source),
    })
    // Of an old Node npm would say a lot that does not matter here; where there is none, everything is looked at.
    const loud = node === tooOld ? [] : ['--loglevel=warn']
    assert.match(succeeds(path, clone, 'npm', 'ci', ...loud), /^\s*added \d+ packages in \S+\s*$/)
    assert.deepEqual(
      readdirSync(join(clone, 'node_modules', 'better-sqlite3')).filter((name) => name === 'build'),
      [],
    )
    assert.match(succeeds(path, clone, 'npm', 'run', 'demo'), /It works\./)
    rmSync(clone, { recursive: true })
  })
}

let tarball = ''
before(() => {
  if (skip) return
  // A copy, so that building it disturbs nobody.
  const checkout = join(folder, 'checkout')
  for (const part of ['src', 'config', 'docs', 'package.json', 'tsconfig.json', 'README.md', 'CHANGELOG.md'])
    cpSync(part, join(checkout, part), { recursive: true })
  symlinkSync(resolve('node_modules'), join(checkout, 'node_modules'))
  const packed = run(environment.PATH ?? '', checkout, 'npm', 'pack', '--silent')
  assert.equal(packed.status, 0, packed.all)
  tarball = join(checkout, packed.stdout.trim())
})

const packagePairs: readonly Pair[] = [['12', newest]]
const morePackagePairs: readonly Pair[] = [
  ['9', oldest],
  ['11', '24'],
]
for (const [npm, node] of triesAll ? [...packagePairs, ...morePackagePairs] : packagePairs) {
  test(
    `npm install --global of the package with npm ${npm} on Node ${node}, without a compiler`,
    options,
    () => {
      const path = pathOf(npm, node)
      const prefix = join(folder, `global-${npm}`)
      mkdirSync(prefix)
      succeeds(path, prefix, 'npm', 'install', '--global', '--prefix', prefix, tarball)
      assert.match(succeeds(path, prefix, join(prefix, 'bin', 'peerpost'), 'demo'), /It works\./)
      rmSync(prefix, { recursive: true })
    },
  )
}

test(
  'on a Node that is too old each command, and the library, say in one line which one is wanted',
  options,
  () => {
    const path = pathOf('10', tooOld)
    const prefix = join(folder, 'old')
    const { status, all } = run(path, folder, 'npm', 'install', '--prefix', prefix, tarball)
    assert.equal(status, 0, all)
    const wanted = /^peerpost: Node 20\.\S+ is too old\. Install Node 22\.14 or newer[^\n]*\n$/
    const config = ['--config', 'host.toml']
    for (const words of [
      ['--help'],
      ['demo'],
      ['host', ...config],
      ['invite', ...config],
      ['agent', ...config],
    ]) {
      const told = run(path, prefix, join(prefix, 'node_modules', '.bin', 'peerpost'), ...words)
      assert.equal(told.status, 1, told.all)
      assert.match(told.stderr, wanted)
      assert.equal(told.stdout, '')
    }
    const program = "import('peerpost').catch((thrown) => console.log(thrown.name, thrown.code, thrown.line))"
    const told = run(path, prefix, 'node', '-e', program)
    assert.equal(told.status, 0, told.all)
    assert.match(told.stdout, /^Problem node-version Node 20\.\S+ is too old\. Install Node 22\.14/)
  },
)
