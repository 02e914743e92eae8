import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { agentSchema, defaultStunServers, hostSchema } from '../../src/config/config-schema.ts'
import { agentTemplate, hostTemplate } from '../../src/config/config-templates.ts'
import { formatDuration, parseDuration } from '../../src/config/duration.ts'
import { settingsOf } from '../../src/config/environment.ts'
import { loadAgentConfig, loadHostConfig } from '../../src/config/load-config.ts'
import { readSecret, readSeed, seedText, writeSecret } from '../../src/config/secret-files.ts'

const hostAnswers = {
  address: 'meet@example.org',
  receive: 'imaps://meet%40example.org@imap.example.org',
  send: 'smtps://meet%40example.org@smtp.example.org',
  receivePasswordFile: 'receive.password',
  sendPasswordFile: 'send.password',
  oauth: null,
  room: 'friends',
  roomSecretFile: 'room-friends.secret',
  stunServers: defaultStunServers,
}

const agentAnswers = {
  name: 'anna',
  address: 'anna@example.net',
  receive: 'imaps://anna%40example.net@imap.example.net',
  send: 'smtps://anna%40example.net@smtp.example.net',
  receivePasswordFile: 'receive.password',
  sendPasswordFile: 'send.password',
  oauth: null,
}

function inFolder(work: (folder: string) => void): void {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-config-'))
  try {
    work(folder)
  } finally {
    rmSync(folder, { recursive: true })
  }
}

/** The error line that `work` leads to. */
function lineOf(work: () => unknown): string {
  try {
    work()
  } catch (thrown) {
    if (thrown instanceof Problem) return thrown.line
    throw thrown
  }
  throw new Error('nothing was wrong')
}

test('the example files are the same as what init writes, and they load', () => {
  assert.equal(readFileSync('config/host.example.toml', 'utf8'), hostTemplate(hostAnswers))
  assert.equal(readFileSync('config/agent.example.toml', 'utf8'), agentTemplate(agentAnswers))
  const host = loadHostConfig('config/host.example.toml', {}).config
  assert.equal(host.table.capacity, 10_000)
  assert.equal(host.table.expiry, 12 * 3_600_000)
  assert.equal(host.letters.introduction_window, 250)
  const agent = loadAgentConfig('config/agent.example.toml', {}).config
  assert.equal(agent.peers.links, 8)
  assert.equal(agent.mail.subject, undefined)
})

test('every setting commented out in the examples shows its default', () => {
  inFolder((folder) => {
    for (const kind of ['host', 'agent'] as const) {
      const text = readFileSync(`config/${kind}.example.toml`, 'utf8')
      const file = join(folder, `${kind}.toml`)
      const open = text.replace(/^# ([a-z0-9_]+ = )/gm, '$1')
      assert.notEqual(open, text)
      writeFileSync(file, open)
      const [all, some] =
        kind === 'host'
          ? [loadHostConfig(file, {}).config, loadHostConfig('config/host.example.toml', {}).config]
          : [
              blankExamples(loadAgentConfig(file, {}).config),
              blankExamples(loadAgentConfig('config/agent.example.toml', {}).config),
            ]
      assert.deepEqual(all, some)
    }
  })
})

/** The agent's settings without those whose comment shows an example, not the default. */
function blankExamples(config: object): object {
  return { ...config, stun: null, games: null, mail: null, nat: null }
}

test('the error for a mistyped key names its section and the closest known key', () => {
  inFolder((folder) => {
    const file = join(folder, 'host.toml')
    writeFileSync(file, `${hostTemplate(hostAnswers)}\n[tables]\ncapacity = 3\n`)
    assert.equal(
      lineOf(() => loadHostConfig(file, {})),
      `${file}: unknown key "tables". Did you mean "table"?`,
    )
    writeFileSync(file, hostTemplate(hostAnswers).replace('# capacity =', 'capcity ='))
    assert.equal(
      lineOf(() => loadHostConfig(file, {})),
      `${file}: unknown key "capcity" in [table]. Did you mean "capacity"?`,
    )
    writeFileSync(file, hostTemplate(hostAnswers).replace('secret_file = "room', 'secretfile = "room'))
    assert.match(
      lineOf(() => loadHostConfig(file, {})),
      /rooms\.0\.secret_file" is missing|secretfile/,
    )
  })
})

test('what init writes for OAuth 2.0 loads, and each of its settings has a variable', () => {
  inFolder((folder) => {
    const file = join(folder, 'agent.toml')
    const oauth = { provider: 'google' as const, clientId: 'id', secretFile: 'oauth-client.secret' }
    writeFileSync(file, agentTemplate({ ...agentAnswers, oauth }))
    assert.deepEqual(loadAgentConfig(file, {}).config.mail.oauth, {
      provider: 'google',
      client_id: 'id',
      client_secret_file: 'oauth-client.secret',
      refresh_token_file: 'oauth.token',
    })
    const { mail } = loadAgentConfig(file, { PEERPOST_MAIL_OAUTH_CLIENT_ID: 'other' }).config
    assert.equal(mail.oauth?.client_id, 'other')
    writeFileSync(file, `${hostTemplate(hostAnswers)}\n[mail.oauth]\nclient_id = "id"\n`)
    assert.match(
      lineOf(() => loadHostConfig(file, {})),
      /"mail\.oauth" is not valid: needs provider/,
    )
  })
})

test('the errors for a bad value, a missing key, broken TOML and a missing file are one line each', () => {
  inFolder((folder) => {
    const file = join(folder, 'host.toml')
    const write = (from: string, to: string) =>
      writeFileSync(file, hostTemplate(hostAnswers).replace(from, to))
    write('# expiry = "12h"', 'expiry = "12 hours"')
    assert.match(
      lineOf(() => loadHostConfig(file, {})),
      /"table\.expiry" is not valid: must be a duration/,
    )
    write('address = "meet@example.org"', '')
    assert.match(
      lineOf(() => loadHostConfig(file, {})),
      /"address" is missing/,
    )
    write('address = "meet@example.org"', 'address = meet@example.org')
    assert.match(
      lineOf(() => loadHostConfig(file, {})),
      /host\.toml, line 5, column \d+: /,
    )
    assert.match(
      lineOf(() => loadHostConfig(join(folder, 'no.toml'), {})),
      /There is no config file .*peerpost init host/,
    )
    for (const bad of ['a@b\r\nRCPT', 'a@b,c@d', '<a@b>', 'a b@c', 'none']) {
      write('"meet@example.org"', JSON.stringify(bad))
      assert.match(
        lineOf(() => loadHostConfig(file, {})),
        /"address" is not valid/,
      )
    }
  })
})

test('every setting has an environment variable, and it wins over the file', () => {
  assert.ok(settingsOf(hostSchema).has('PEERPOST_LETTERS_FUTURE_TOLERANCE'))
  assert.ok(settingsOf(agentSchema).has('PEERPOST_MAIL_RECEIVE_PASSWORD_FILE'))
  const host = loadHostConfig('config/host.example.toml', {
    PEERPOST_TABLE_CAPACITY: '500',
    PEERPOST_ADDRESS: 'other@example.org',
    PEERPOST_STUN_SERVERS: 'a.example:1, b.example:2',
    PEERPOST_ROOMS: '[{ name = "x", secret_file = "y" }]',
    PATH: '/bin',
  }).config
  assert.equal(host.table.capacity, 500)
  assert.equal(host.address, 'other@example.org')
  assert.deepEqual(host.stun.servers, ['a.example:1', 'b.example:2'])
  assert.deepEqual(host.rooms, [{ name: 'x', secret_file: 'y', invites_required: false }])
})

test('an environment variable that names no setting, or holds no value, is refused', () => {
  const load = (variables: Record<string, string>) => () =>
    loadHostConfig('config/host.example.toml', variables)
  assert.match(lineOf(load({ PEERPOST_TABEL_CAPACITY: '1' })), /PEERPOST_TABEL_CAPACITY names no setting/)
  assert.match(
    lineOf(load({ PEERPOST_TABLE_CAPACITY: 'many' })),
    /PEERPOST_TABLE_CAPACITY holds no valid TOML value/,
  )
})

test('a formatted duration parses to the same value', () => {
  for (const text of ['1ms', '250ms', '60s', '5m', '12h', '7d', '1.5s']) {
    const ms = parseDuration(text)
    assert.ok(ms !== null)
    assert.equal(parseDuration(formatDuration(ms)), ms)
  }
  for (const text of ['', '5', '-1s', '1 hour', '1e9s', '99999d']) assert.equal(parseDuration(text), null)
})

test('a secret file is readable by its owner only, is never overwritten, and is refused when others may read it', () => {
  inFolder((folder) => {
    const file = join(folder, 'identity.key')
    const seed = Uint8Array.from({ length: 32 }, (_, index) => index)
    writeSecret(file, seedText(seed))
    assert.deepEqual(readSeed(file, 'The identity key'), seed)
    assert.match(
      lineOf(() => writeSecret(file, 'x')),
      /exists already/,
    )
    writeFileSync(join(folder, 'open'), 'secret\n', { mode: 0o644 })
    assert.match(
      lineOf(() => readSecret(join(folder, 'open'), 'The password')),
      /can be read by others.*chmod 600/,
    )
    assert.match(
      lineOf(() => readSecret(join(folder, 'none'), 'The password')),
      /The password is missing/,
    )
    writeSecret(join(folder, 'short'), 'abcdef')
    assert.match(
      lineOf(() => readSeed(join(folder, 'short'), 'The identity key')),
      /does not hold a key/,
    )
  })
})
