// The commands that README and docs show are run as they stand, with only names and servers put in.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { existsSync, globSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import { PeerpostProcess } from '../src/cli/child-process.ts'
import { TestMailServer } from '../src/mail/test-mail-server.ts'
import { systemClock } from '../src/runtime/system-clock.ts'
import { deferIn } from './harness/defer.ts'

/** Commands of the fenced `sh` blocks, continued lines joined. */
function commandsOf(file: string): string[] {
  return [...readFileSync(file, 'utf8').matchAll(/^```sh\n([\s\S]*?)^```$/gm)].flatMap((block) =>
    (block[1] ?? '')
      .replace(/\\\n\s*/g, '')
      .split('\n')
      .filter((line) => line.trim() !== ''),
  )
}

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
  for (const file of globSync('docs/*.md')) assert.deepEqual(commandsOf(file), [], file)
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

  /** The command's arguments with this machine's mail in place of the example's. */
  const adapt = (command: string, user: string, invite = ''): string[] => {
    assert.match(command, /^npm run -s peerpost -- /)
    return command
      .replace('npm run -s peerpost -- ', '')
      .split(' ')
      .map((word) =>
        word
          .replace(/^imaps:.*/, `maildir:${maildirs.get(user)}`)
          .replace(/^smtps:.*/, `smtp://127.0.0.1:${port}`)
          .replace(/^(anna|ben|meet)@example\.(org|net)$/, `${user}@mail.test`)
          .replace(/^INVITE$/, invite)
          .replace(/^anna$/, user)
          .replace(
            /^(meet|me)(\/.*)?$/,
            (_, dir, rest = '') => join(folder, dir === 'me' ? user : dir) + rest,
          ),
      )
  }
  const commands = commandsOf('README.md').filter((command) => !runElsewhere.includes(command))
  const take = (start: string): string => {
    const index = commands.findIndex((command) => command.startsWith(`npm run -s peerpost -- ${start}`))
    assert.ok(index >= 0, start)
    return commands.splice(index, 1)[0] as string
  }

  const run = (args: string[]) => PeerpostProcess.run(args.slice(0, 2).join(' '), args)
  await run(adapt(take('init host'), 'meet'))
  const runProcess = (name: string, args: string[]) => {
    const child = new PeerpostProcess(name, [...args, '--json'])
    defer(() => child.stop(5_000))
    return child
  }
  const host = runProcess('host', adapt(take('host'), 'meet'))
  const invite = await run(adapt(take('invite'), 'meet'))
  await host.waitFor('ready')
  const initAgent = take('init agent')
  for (const user of ['anna', 'ben']) await run(adapt(initAgent, user, invite))
  const anna = runProcess('anna', adapt(take('agent'), 'anna'))
  await anna.waitFor('ready')
  const ben = runProcess(
    'ben',
    adapt(take('agent'), 'ben').map((word) => word.replace('=ben:', '=anna:')),
  )
  await ben.waitFor('forward')
  assert.deepEqual(commands, [], 'every command of the README was run')
})

test('every file that README and docs point to is there', () => {
  for (const file of ['README.md', ...globSync('docs/*.md')]) {
    for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(
      /\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)/g,
    )) {
      assert.ok(existsSync(resolve(file, '..', target)), `${file}: ${target}`)
    }
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
