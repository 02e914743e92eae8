// What a person sees when something is wrong: one line that names the thing and the remedy.

import assert from 'node:assert/strict'
import { spawn, spawnSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  closeSync,
  existsSync,
  globSync,
  mkdtempSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { checkRevocation } from '../../src/letter/invite-revocation.ts'
import type { Revocation } from '../../src/letter/letter-types.ts'
import { openSharedDatabase } from '../../src/store/host-database.ts'
import { InviteRevocations } from '../../src/store/invite-revocations.ts'
import { startAddressServer } from '../../src/stun-server/stun-server.ts'
import { deferIn } from '../harness/defer.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { freePorts } from '../harness/mail-servers-processes.ts'
import { lacks } from '../harness/needs.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { waitUntil } from '../harness/wait-until.ts'

const folder = mkdtempSync(join(tmpdir(), 'peerpost-commands-'))
after(() => rmSync(folder, { recursive: true, force: true }))

function peerpost(...args: string[]) {
  const run = spawnSync(process.execPath, ['src/cli/main.ts', ...args], { encoding: 'utf8', timeout: 30_000 })
  return { code: run.status, out: run.stdout, err: run.stderr }
}

/** Exit code and the one line on stderr. */
function fails(code: number, line: RegExp, ...args: string[]): void {
  const run = peerpost(...args)
  assert.match(run.err, line)
  assert.equal(run.err.trim().split('\n').length, 1, run.err)
  assert.equal(run.code, code)
}

const offline = ['--receive', 'imap://anna:secret@127.0.0.1:1', '--send', 'smtp://127.0.0.1:1', '--yes']

let invite = ''

before(() => {
  const host = ['init', 'host', '--dir', join(folder, 'host'), '--address', 'meet@mail.test', ...offline]
  assert.equal(peerpost(...host).code, 0)
  invite = peerpost('invite', '--config', join(folder, 'host', 'host.toml')).out.trim()
})

test('help names every command, and each command explains its options', () => {
  const { code, out } = peerpost('--help')
  assert.equal(code, 0)
  for (const command of [
    'init',
    'invite',
    'block',
    'host',
    'agent',
    'login',
    'nat',
    'status',
    'control',
    'address-server',
    'demo',
  ]) {
    assert.match(out, new RegExp(`^  ${command}\\b`, 'm'))
    assert.equal(peerpost(command, '--help').code, 0)
  }
  assert.match(peerpost('agent', '--help').out, /--forward <udp\|tcp:local=nick:port>/)
})

/** As before `| head`: nobody reads. */
function withoutReader(...args: string[]) {
  const child = spawn(process.execPath, ['src/cli/main.ts', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, TMPDIR: folder },
  })
  child.stdout.destroy()
  let err = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    err += text
  })
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, err }))
  return { child, ended }
}

test('a command whose reader has gone ends quietly, and takes what it started with it', async () => {
  const config = ['--config', join(folder, 'host', 'host.toml')]
  for (const args of [['--help'], ['invite', ...config, '--list', '--json'], ['demo']])
    assert.deepEqual(await withoutReader(...args).ended, { code: 0, err: '' }, args.join(' '))
  assert.deepEqual(globSync(join(folder, 'peerpost-demo-*')), [])
})

test('a daemon whose reader has gone works on', async (context) => {
  const defer = deferIn(context)
  const [port = 0] = await freePorts(1)
  const { child, ended } = withoutReader('address-server', '--listen', `127.0.0.1:${port}`)
  defer(() => void child.kill('SIGKILL'))
  await waitUntil(
    () => peerpost('nat', '--stun', `127.0.0.1:${port}`).code === 0,
    () => 'nobody answers',
    20_000,
  )
  assert.equal(peerpost('nat', '--stun', `127.0.0.1:${port}`).code, 0)
  child.kill('SIGTERM')
  assert.deepEqual(await ended, { code: 0, err: '' })
})

test('output that cannot be written is a fault', { skip: !existsSync('/dev/full') }, () => {
  const full = openSync('/dev/full', 'w')
  const args = ['src/cli/main.ts', '--help']
  const { status, stderr } = spawnSync(process.execPath, args, {
    encoding: 'utf8',
    stdio: ['ignore', full, 'pipe'],
  })
  closeSync(full)
  assert.equal(status, 1)
  assert.match(stderr, /^peerpost: Standard output cannot be written: ENOSPC[^\n]*\n$/)
})

test('a usage error exits with 2 and suggests what was meant', () => {
  fails(2, /unknown command 'hots'.*Did you mean host/, 'hots')
  fails(2, /required option '--config <file>'/, 'host')
  fails(2, /--address is missing\. Give it/, 'init', 'host', '--dir', join(folder, 'x'), '--yes')
  fails(2, /"--stun nowhere" is not HOST:PORT/, 'nat', '--stun', 'nowhere')
})

test('init writes keys and passwords for their owner only, and no password in the config', () => {
  for (const file of ['host.toml', 'identity.key', 'sealing.key', 'room.secret', 'receive.password']) {
    assert.equal(statSync(join(folder, 'host', file)).mode & 0o777, 0o600, file)
  }
  assert.doesNotMatch(readFileSync(join(folder, 'host', 'host.toml'), 'utf8'), /secret@/)
  assert.equal(readFileSync(join(folder, 'host', 'receive.password'), 'utf8'), 'secret\n')
})

/** As `peerpost`, with something on standard input. */
function pipeInto(input: string, ...args: string[]) {
  const run = spawnSync(process.execPath, ['src/cli/main.ts', ...args], {
    input,
    encoding: 'utf8',
    timeout: 30_000,
  })
  return { code: run.status, out: run.stdout, err: run.stderr }
}

test('the address of a common provider is enough, with the password piped in and what to know said', () => {
  const dir = join(folder, 'gmail')
  const init = ['init', 'host', '--dir', dir, '--address', 'meet@gmail.com', '--yes']
  fails(
    2,
    /There is no password\. Pipe it in with --password-stdin/,
    ...init.map((word) => word.replace('gmail', 'posteo').replace('.com', '.de')),
  )
  const { code, err } = pipeInto('app password\nmore\n', ...init, '--password-stdin')
  assert.equal(code, 0, err)
  assert.match(err, /myaccount\.google\.com\/apppasswords/)
  const config = readFileSync(join(dir, 'host.toml'), 'utf8')
  assert.match(config, /receive = "imaps:\/\/meet%40gmail\.com@imap\.gmail\.com"/)
  assert.match(config, /send = "smtps:\/\/meet%40gmail\.com@smtp\.gmail\.com"/)
  for (const file of ['receive.password', 'send.password']) {
    assert.equal(readFileSync(join(dir, file), 'utf8'), 'app password\n')
    assert.equal(statSync(join(dir, file)).mode & 0o777, 0o600)
  }
})

test('a provider that takes no passwords is told, and a client ID makes a config to log in with', () => {
  const dir = join(folder, 'outlook')
  const init = ['init', 'host', '--dir', dir, '--address', 'meet@outlook.com', '--yes']
  const without = peerpost(...init)
  assert.equal(without.code, 2)
  assert.match(without.err, /takes no passwords.*OAuth 2\.0.*\n.*--oauth-client is missing/)
  const { code, out } = peerpost(...init, '--oauth-client', 'client')
  assert.equal(code, 0)
  assert.match(out, /peerpost login --config/)
  assert.match(readFileSync(join(dir, 'host.toml'), 'utf8'), /provider = "microsoft"\nclient_id = "client"/)
  fails(
    1,
    /login to the mail provider is missing.*peerpost login --config FILE/,
    'host',
    '--config',
    join(dir, 'host.toml'),
  )
})

test('init never overwrites what is there', () => {
  const before = readFileSync(join(folder, 'host', 'identity.key'), 'utf8')
  const args = ['init', 'host', '--dir', join(folder, 'host'), '--address', 'meet@mail.test', ...offline]
  fails(1, /host\.toml exists already\. Choose another --dir/, ...args)
  assert.equal(readFileSync(join(folder, 'host', 'identity.key'), 'utf8'), before)
})

test('invites are listed, and revoked by ID or name', () => {
  const config = ['--config', join(folder, 'host', 'host.toml')]
  const make = ['invite', ...config, '--until', '2400-01-31T18:00Z', '--uses', '3', '--name', 'chess club']
  assert.match(peerpost(...make).out, /^peerpost1[a-z2-7]+\n$/)
  const listed = () =>
    peerpost('invite', ...config, '--list', '--json')
      .out.trim()
      .split('\n')
      .map((line) => JSON.parse(line))
      .filter(({ name }) => name === 'chess club')
  const [{ event, id, room, state, uses, until, used, present }] = listed()
  assert.match(id, /^[a-z2-7]{8}$/)
  assert.deepEqual(
    { event, room, state, uses, until, used, present },
    ...[
      {
        event: 'invite',
        room: 'friends',
        state: 'open',
        uses: 3,
        until: '2400-01-31T18:00:00.000Z',
        used: 0,
        present: 0,
      },
    ],
  )
  assert.match(
    peerpost('invite', ...config, '--list').out,
    /^ID .*\n(?:.*\n)*.*friends .*0 of 3 .*open .*chess club/,
  )
  assert.match(
    peerpost('invite', ...config, '--revoke', 'chess club').out,
    /^Revoked [a-z2-7]{8} \(chess club\)\./,
  )
  assert.equal(listed()[0].state, 'revoked')
  const database = openSharedDatabase(join(folder, 'host', 'host.sqlite'))
  const words = new InviteRevocations(database).latest(2)
  database.close()
  assert.equal(words.length, 1)
  const [word] = words as [Revocation]
  assert.equal(word.until, Date.parse(until))
  assert.ok(checkRevocation(realCrypto, word))
  fails(
    2,
    /There is no invite "chess club"\. `peerpost invite --list` shows/,
    'invite',
    ...config,
    '--revoke',
    'chess club',
  )
  fails(2, /"--until 2027-02-30" is no date/, 'invite', ...config, '--until', '2027-02-30')
  fails(2, /"--until 2020-01-01" is in the past/, 'invite', ...config, '--until', '2020-01-01')
  fails(2, /"--uses 0" is not a valid number of agents/, 'invite', ...config, '--uses', '0')
  fails(2, /cannot be used with/, 'invite', ...config, '--list', '--uses', '2')
})

test('an agent is blocked by its user ID, listed, and let in again', () => {
  const block = (...args: string[]) => ['block', ...args, '--config', join(folder, 'host', 'host.toml')]
  const id = 'a'.repeat(52)
  assert.match(peerpost(...block(id)).out, /^Blocked a{52}\. It is out/)
  assert.match(peerpost(...block('--list')).out, /^SINCE .*\n\d{4}-\d\d-\d\d {2}a{52}/)
  assert.equal(JSON.parse(peerpost(...block('--list', '--json')).out).id, id)
  assert.match(peerpost(...block(id, '--remove')).out, /^Unblocked/)
  assert.equal(peerpost(...block('--list')).out, 'Nobody is blocked.\n')
  fails(2, /No agent called "anna" is in the table\. Name it by its user ID/, ...block('anna'))
  fails(2, /No agent called "anna" is blocked/, ...block('anna', '--remove'))
  fails(2, /No agent was named/, ...block())
})

test('an invite is one line, and a typo in it is told from a missing end', () => {
  assert.match(invite, /^peerpost1[a-z2-7]+$/)
  const init = (text: string) => [
    ...['init', 'agent', '--dir', join(folder, 'typo'), '--name', 'anna', '--address', 'anna@mail.test'],
    ...['--invite', text, ...offline],
  ]
  const middle = Math.floor(invite.length / 2)
  const typo = invite.slice(0, middle) + (invite[middle] === 'a' ? 'b' : 'a') + invite.slice(middle + 1)
  fails(1, /--invite holds an invite with a typo\. Copy it/, ...init(typo))
  fails(1, /--invite holds only a part of an invite\./, ...init(invite.slice(0, middle)))
  fails(1, /--invite holds no invite\. An invite begins with peerpost1/, ...init('hello'))
})

test('a missing config, a bad key in it, a missing secret and one that others may read', () => {
  fails(1, /There is no config file .*none\.toml/, 'host', '--config', join(folder, 'none.toml'))
  const dir = join(folder, 'broken')
  assert.equal(peerpost('init', 'host', '--dir', dir, '--address', 'meet@mail.test', ...offline).code, 0)
  const config = join(dir, 'host.toml')
  chmodSync(join(dir, 'identity.key'), 0o644)
  fails(1, /identity\.key can be read by others\. Run `chmod 600 /, 'host', '--config', config)
  chmodSync(join(dir, 'identity.key'), 0o600)
  rmSync(join(dir, 'sealing.key'))
  fails(1, /sealing key is missing: there is no file .*sealing\.key/, 'host', '--config', config)
  appendFileSync(config, '\n[letter]\nsweep = "1m"\n')
  fails(1, /unknown key "letter"\. Did you mean "letters"\?/, 'host', '--config', config)
  writeFileSync(config, 'address = \n')
  fails(1, /host\.toml, line 1, column \d+: /, 'host', '--config', config)
})

test('a refused connection names the server and what to check', () => {
  fails(1, /127\.0\.0\.1:1\b/, 'host', '--config', join(folder, 'host', 'host.toml'))
})

test('no STUN server answering is said in one line', () => {
  fails(
    1,
    /No STUN server answered \(127\.0\.0\.1:9\)\. Check that UDP/,
    'nat',
    '--stun',
    '127.0.0.1:9',
    '--json',
  )
})

test('nat tells what the servers see, to people in a sentence and to programs as an event', async (context) => {
  const server = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  context.after(() => server.close())
  const stun = server.endpoints.flatMap((endpoint) => ['--stun', formatEndpoint(endpoint)])
  const told = await PeerpostProcess.run('nat', ['nat', ...stun])
  assert.match(
    told,
    /the kind of NAT is unknown\. The STUN servers, which are not on the Internet, see us at 127\.0\.0\.1:\d+\./,
  )
  const process = new PeerpostProcess('nat', ['nat', ...stun, '--json'])
  const { mapping, filtering, allocation, public: seen } = await process.waitFor('nat')
  assert.deepEqual([mapping, filtering], ['unknown', 'unknown'])
  assert.ok(allocation)
  assert.match(String(seen), /^127\.0\.0\.1:\d+$/)
  assert.equal(await process.ended, 0)
})

const skip = lacks('postfix', 'dovecot')
let mailServers: MailServers | undefined

before(async () => {
  if (!skip) mailServers = await startMailServers()
})
after(() => mailServers?.stop())

test('a wrong password is told from a wrong server, and never printed', { skip }, () => {
  if (!mailServers) return
  const dir = join(folder, 'login')
  const receive = mailServers.imapUrl('meet').replace(/:[^:@/]+@/, ':wrong-word@')
  const mail = [
    '--address',
    mailServers.address('meet'),
    '--receive',
    receive,
    '--send',
    mailServers.smtpUrl('meet'),
    '--yes',
  ]
  assert.equal(peerpost('init', 'host', '--dir', dir, ...mail).code, 0)
  const { code, err } = peerpost('host', '--config', join(dir, 'host.toml'))
  assert.equal(code, 1)
  assert.match(err, /password/i)
  assert.doesNotMatch(err, /wrong-word/)
  assert.equal(err.trim().split('\n').length, 1, err)
})

test('a forward on a taken port names the port', { skip }, async () => {
  if (!mailServers) return
  const dir = join(folder, 'taken')
  const mail = [
    '--address',
    mailServers.address('anna'),
    '--receive',
    mailServers.imapUrl('anna'),
    '--send',
    mailServers.smtpUrl('anna'),
  ]
  const init = ['init', 'agent', '--dir', dir, '--name', 'anna', '--invite', invite, ...mail, '--yes']
  assert.equal(peerpost(...init).code, 0)

  const socket = createSocket('udp4')
  await new Promise<void>((resolve) => socket.bind(0, '127.0.0.1', resolve))
  const { port } = socket.address()
  try {
    fails(
      1,
      new RegExp(`${port}`),
      'agent',
      '--config',
      join(dir, 'agent.toml'),
      '--forward',
      `udp:${port}=ben:1`,
    )
  } finally {
    socket.close()
  }
})
