// The image of a host and the compose file, without Docker: what they name is there, and what they run does what is
// wanted of it, as a user without rights, who can write into /data only.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { below, buildStages, lastOf, readStages, type Stage, wordsOf } from '../harness/dockerfile.ts'
import { consoleCommandsOf } from '../harness/documents.ts'
import { startMailpit } from '../harness/mailpit.ts'
import { lacks } from '../harness/needs.ts'
import { waitUntil } from '../harness/wait-until.ts'

type Service = {
  readonly image: string
  readonly build?: string
  readonly ports?: readonly string[]
  readonly volumes?: readonly string[]
  readonly depends_on?: Readonly<Record<string, { readonly condition: string }>>
  readonly healthcheck?: { readonly test: readonly string[] }
  readonly read_only?: boolean
  readonly cap_drop?: readonly string[]
  readonly security_opt?: readonly string[]
}
type Compose = {
  readonly services: Readonly<Record<string, Service>>
  readonly volumes: Readonly<Record<string, unknown>>
}

const stages = readStages('Dockerfile')
const final = stages.at(-1) as Stage
const compose = parse(readFileSync('compose.yaml', 'utf8')) as Compose

/** The commands of the guide. */
const commands = consoleCommandsOf('docs/local-test.md')
const shown = commands.filter((command) => command.startsWith('docker '))

test('the image is of the Node that the package wants, and of nothing that is not in the repository', () => {
  const ignored = readFileSync('.dockerignore', 'utf8').split('\n')
  const { engines } = JSON.parse(readFileSync('package.json', 'utf8')) as { engines: { node: string } }
  const wanted = Number(/\d+/.exec(engines.node)?.[0])
  for (const { image } of stages) assert.ok(Number(/^node:(\d+)-/.exec(image)?.[1]) >= wanted, image)
  assert.ok(ignored.includes('*'), 'what is not named stays out')
  for (const { steps } of stages) {
    for (const { name, rest } of steps) {
      if (name !== 'COPY' || rest.startsWith('--from=')) continue
      for (const source of rest.split(' ').slice(0, -1)) {
        assert.ok(existsSync(source), source)
        assert.ok(ignored.includes(`!${source.replace('./', '')}`), `.dockerignore leaves ${source} out`)
      }
    }
  }
})

test('the compose file gives the host its volume and nothing else to write, and waits for Mailpit', () => {
  const { host, mailpit } = compose.services
  assert.ok(host && mailpit)
  assert.equal(host.build, '.')
  assert.deepEqual(host.volumes, [`host:${lastOf(final, 'VOLUME')}`])
  assert.deepEqual(Object.keys(compose.volumes), ['host'])
  assert.deepEqual(
    [host.read_only, host.cap_drop, host.security_opt],
    [true, ['ALL'], ['no-new-privileges:true']],
  )
  assert.deepEqual(host.depends_on, { mailpit: { condition: 'service_healthy' } })
  assert.deepEqual(mailpit.healthcheck?.test, ['CMD', '/mailpit', 'readyz'])
  for (const port of mailpit.ports ?? []) assert.match(port, /^127\.0\.0\.1:(\d+):\1$/)
  for (const command of shown) {
    const service = /^docker compose (?:up -d|run --rm|exec) (\S+)/.exec(command)?.[1]
    assert.ok(service && service in compose.services, command)
  }
})

test('what the Dockerfile builds runs as a user without rights who can write into /data only', {
  timeout: 300_000,
  // Only root can be somebody else.
  skip: lacks('network namespaces'),
}, async (context) => {
  const defer = deferIn(context)
  const root = mkdtempSync(join(tmpdir(), 'peerpost-image-'))
  defer(() => rmSync(root, { recursive: true, force: true }))
  chmodSync(root, 0o755)
  const folder = buildStages(stages, root, '.')
  // In the image, Node is a program of the system's.
  const node = join(folder, 'node')
  copyFileSync(process.execPath, node)
  chmodSync(node, 0o755)
  const user = lastOf(final, 'USER')
  assert.match(user, /^[1-9]\d*:[1-9]\d*$/)
  const [uid, gid] = user.split(':')
  const asUser = ['setpriv', `--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs']
  spawnSync('chmod', ['-R', 'a-w,a+rX', join(folder, 'opt')])
  /** The arguments of a container of this image become a command here. */
  const commandOf = (words: readonly string[]): [string, string[]] => {
    const [program, ...args] = words.map((word) => below(folder, word))
    assert.equal(program, 'node')
    const [first = '', ...rest] = [...asUser, node, ...args]
    return [first, rest]
  }
  const entry = wordsOf(lastOf(final, 'ENTRYPOINT'))
  const options = { cwd: join(folder, lastOf(final, 'WORKDIR')), env: { NODE_ENV: 'production' } }
  const runOnce = (words: readonly string[]) =>
    spawnSync(...commandOf(words), { ...options, encoding: 'utf8' })

  const tried = spawnSync(asUser[0] ?? 'true', [
    ...asUser.slice(1),
    'touch',
    join(folder, 'opt/peerpost/dist/x'),
  ])
  assert.notEqual(tried.status, 0, 'the program may not be written')

  const mailpit = await startMailpit()
  defer(() => mailpit.stop())
  const here = (word: string) =>
    word
      .replace('mailpit:8025', `127.0.0.1:${mailpit.webPort}`)
      .replace('mailpit:1025', `127.0.0.1:${mailpit.smtpPort}`)
  const init = shown.find((command) => command.startsWith('docker compose run --rm host init host '))
  const invite = shown.find((command) => command.startsWith('docker compose exec host '))
  assert.ok(init && invite)
  const made = runOnce([...entry, ...init.split(' ').slice(5).map(here)])
  assert.equal(made.status, 0, made.stderr)

  const [program, args] = commandOf([...entry, ...wordsOf(lastOf(final, 'CMD'))])
  const host = spawn(program, args, { ...options, stdio: ['ignore', 'pipe', 'pipe'] })
  let log = ''
  host.stderr.setEncoding('utf8').on('data', (text: string) => {
    log += text
  })
  const ended = new Promise<number | null>((resolve) => host.once('close', resolve))
  defer(() => void host.kill('SIGKILL'))
  await waitUntil(
    () => log.includes('"event":"ready"') || host.exitCode !== null,
    () => log,
    60_000,
  )
  // Ready to take letters, and healthy only once the mailbox was looked through, as Docker waits for it.
  let healthy = made
  await waitUntil(
    () => {
      healthy = runOnce(wordsOf(lastOf(final, 'HEALTHCHECK')))
      return healthy.status === 0
    },
    () => healthy.stdout + healthy.stderr + log,
    60_000,
  )
  const given = runOnce(invite.split(' ').slice(4))
  assert.equal(given.status, 0, given.stderr)
  assert.match(given.stdout, /^\S{100,}\s*$/)
  await runShownAgents(given.stdout.trim(), (word) => here(word.replace('127.0.0.1:', 'mailpit:')))
  host.kill('SIGTERM')
  assert.equal(await ended, 0, log)
  assert.notEqual(
    runOnce(wordsOf(lastOf(final, 'HEALTHCHECK'))).status,
    0,
    'a host that is gone is not healthy',
  )
})

/** The guide's agents, until the host has answered both. */
async function runShownAgents(invite: string, here: (word: string) => string): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-agents-'))
  const agents: PeerpostProcess[] = []
  try {
    const [init = '', ...runs] = commands
      .filter((command) => command.startsWith('peerpost '))
      .map((command) => command.replace('peerpost ', ''))
    const adapt = (command: string) =>
      command.split(' ').map((word) => {
        const local = here(word).replace('INVITE', invite)
        return /^(anna|ben)\/agent\.toml$/.test(local) ? join(folder, local) : local
      })
    for (const name of ['anna', 'ben']) {
      const words = adapt(init.replaceAll('anna', name))
      const dir = words.indexOf('--dir') + 1
      await PeerpostProcess.run('init agent', words.with(dir, join(folder, words[dir] ?? '')))
    }
    assert.equal(runs.length, 2)
    for (const run of runs) {
      const agent = new PeerpostProcess(run, [...adapt(run), '--json'])
      agents.push(agent)
      await agent.waitFor('replied')
    }
  } finally {
    await Promise.all(agents.map((agent) => agent.stop(5_000)))
    rmSync(folder, { recursive: true, force: true })
  }
}
