// The commands that README and docs show are run as they stand, with only names and servers put in.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { test } from 'node:test'
import { PeerpostProcess } from '../src/cli/child-process.ts'
import { TestMailServer } from '../src/mail/test-mail-server.ts'
import { systemClock } from '../src/runtime/system-clock.ts'
import { deferIn } from './harness/defer.ts'
import { anchorsOf, commandsOf, documents } from './harness/documents.ts'

/** Run by `.ci/run`, by test/e2e/demo.test.ts and by hand; a test cannot install itself. */
const runElsewhere = ['npm ci && npm run demo', 'npm ci && npm run test:all']

test('the two commands of the README are scripts of package.json, and .ci/run calls the second', () => {
  const { scripts } = JSON.parse(readFileSync('package.json', 'utf8')) as { scripts: Record<string, string> }
  const commands = commandsOf('README.md')
  for (const command of runElsewhere) assert.ok(commands.includes(command), command)
  assert.ok(scripts.demo && scripts['test:all'])
  assert.match(readFileSync('.ci/run', 'utf8'), /npm ci\nnpm run test:all/)
})

test('only the README shows commands to run, besides those listed here', () => {
  for (const file of documents.filter((name) => name !== 'README.md')) {
    assert.deepEqual(commandsOf(file), [], file)
  }
})

test("the README's commands make a host, an invite and an agent that meets another", async (context) => {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-docs-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  const office = new TestMailServer({
    clock: systemClock,
    folder: join(folder, 'mail'),
    domain: 'mail.test',
  })
  const port = await office.start()
  defer(() => office.stop())
  const maildirs = new Map<string, string>()
  for (const user of ['meet', 'anna', 'ben']) maildirs.set(user, await office.maildirOf(`${user}@mail.test`))

  /** What somebody answers who is asked by `init`, as options. */
  const answers = (user: string): string[] => [
    ...['--address', `${user}@mail.test`],
    ...['--receive', `maildir:${maildirs.get(user)}`, '--send', `smtp://127.0.0.1:${port}`, '--yes'],
  ]
  /** The command's arguments, with folders of this test in place of the example's. */
  const adapt = (command: string, user: string): string[] => {
    assert.match(command, /^npm run -s peerpost -- /)
    return command
      .replace('npm run -s peerpost -- ', '')
      .split(' ')
      .map((word) =>
        word.replace(
          /^(meet|me)(\/.*)?$/,
          (_, dir, rest = '') => join(folder, dir === 'me' ? user : dir) + rest,
        ),
      )
  }
  const commands = commandsOf('README.md').filter(
    // The game's own command is run by test/e2e/game-server.test.ts.
    (command) => !runElsewhere.includes(command) && !command.startsWith('teeworlds-server '),
  )
  const take = (start: string): string => {
    const index = commands.findIndex((command) => command.startsWith(`npm run -s peerpost -- ${start}`))
    assert.ok(index >= 0, start)
    return commands.splice(index, 1)[0] as string
  }

  const run = (args: string[]) => PeerpostProcess.run(args.slice(0, 2).join(' '), args)
  await run([...adapt(take('init host'), 'meet'), ...answers('meet')])
  const runProcess = (name: string, args: string[]) => {
    const child = new PeerpostProcess(name, [...args, '--json'])
    defer(() => child.stop(5_000))
    return child
  }
  const host = runProcess('host', adapt(take('host'), 'meet'))
  const invite = await run(adapt(take('invite'), 'meet'))
  await host.waitFor('ready')
  const initAgent = take('init agent')
  for (const user of ['anna', 'ben']) {
    await run([...adapt(initAgent, user), '--invite', invite, '--name', user, ...answers(user)])
  }
  const anna = runProcess('anna', adapt(take('agent'), 'anna'))
  await anna.waitFor('ready')
  const ben = runProcess('ben', adapt(take('agent'), 'ben'))
  await ben.waitFor('forward')
  assert.deepEqual(commands, [], 'every command of the README was run')
})

test('every file and heading that the documents point to is there', () => {
  for (const file of documents) {
    const text = readFileSync(file, 'utf8')
    for (const [, target = '', anchor] of text.matchAll(/\]\((?!https?:)([^)#]*)(?:#([^)]*))?\)/g)) {
      const pointed = target === '' ? file : resolve(file, '..', target)
      assert.ok(existsSync(pointed), `${file}: ${target}`)
      if (anchor !== undefined) assert.ok(anchorsOf(pointed).has(anchor), `${file}: ${target}#${anchor}`)
    }
  }
})

test('every source and test file that the documents name is there', () => {
  for (const file of documents) {
    for (const [, name = ''] of readFileSync(file, 'utf8').matchAll(/`((?:src|test|config)\/[\w./-]+)`/g)) {
      assert.ok(existsSync(name), `${file} names ${name}`)
    }
  }
})

test('every document that the program, its configs and the tests name is there', () => {
  const files = ['{src,test}/**/*.ts', 'config/*', 'Dockerfile', 'compose.yaml', 'src/api/page/*.js']
  for (const file of files.flatMap((pattern) => globSync(pattern))) {
    for (const [name] of readFileSync(file, 'utf8').matchAll(/\bdocs\/[\w/-]+\.\w+/g)) {
      assert.ok(existsSync(name), `${file} names ${name}`)
    }
  }
})

test('docs/decisions names every library that package.json does, and every decision is in its index', () => {
  const { dependencies, devDependencies } = JSON.parse(readFileSync('package.json', 'utf8')) as {
    [kind: string]: Record<string, string>
  }
  const libraries = readFileSync('docs/decisions/libraries.md', 'utf8')
  for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
    if (!name.startsWith('@types/'))
      assert.match(libraries, new RegExp(`^\\|.*\\b${name.replace('@', '')}\\b.* \\|`, 'm'), name)
  }
  const index = readFileSync('docs/decisions/README.md', 'utf8')
  for (const file of globSync('docs/decisions/2*.md')) {
    const name = basename(file)
    assert.match(name, /^\d{4}-\d\d-\d\d-[a-z0-9-]+\.md$/)
    assert.ok(index.includes(`](${name})`), name)
    const headings = [...readFileSync(file, 'utf8').matchAll(/^## (.+)$/gm)].map(([, heading]) => heading)
    assert.deepEqual(headings, ['Decided', 'Why', 'Also considered'], name)
  }
})

test('the package holds a program that runs without the sources', (context) => {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-package-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  const build = spawnSync('npx', ['tsc', '-p', '.', '--outDir', join(folder, 'dist')], { encoding: 'utf8' })
  assert.equal(build.status, 0, build.stdout + build.stderr)
  // Outside node_modules, the program finds its dependencies through a link.
  spawnSync('ln', ['-s', resolve('node_modules'), join(folder, 'node_modules')])
  spawnSync('cp', ['package.json', folder])
  const help = spawnSync(process.execPath, [join(folder, 'dist', 'cli', 'main.js'), '--help'], {
    encoding: 'utf8',
  })
  assert.equal(help.status, 0, help.stderr)
  assert.match(help.stdout, /peerpost demo/)
})

test('every requirement that a comment names is in docs/architecture.md', () => {
  const known = new Set(
    [...readFileSync('docs/architecture.md', 'utf8').matchAll(/^\| ([A-E]\d+) \|/gm)].map(([, id]) => id),
  )
  assert.ok(known.size > 50)
  for (const file of globSync('{src,test}/**/*.ts')) {
    const code = readFileSync(file, 'utf8').replace(/\n\s*(?:\/\/|\*) /g, ' ')
    for (const [cited] of code.matchAll(/\((?:[A-E]\d+(?:, |; |\)))+/g)) {
      for (const [id] of cited.matchAll(/[A-E]\d+/g)) assert.ok(known.has(id), `${file} names ${id}`)
    }
    assert.doesNotMatch(code, /\bmission [A-E]\d|\bdesign §/, file)
  }
})
