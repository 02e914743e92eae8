// The routes for invites and blocked agents, with the folder and database of a real host.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { hostAdminRoutes, mostListed } from '../../src/api/host-admin-routes.ts'
import { loadHostConfig } from '../../src/config/load-config.ts'
import type { HostAdmin } from '../../src/daemon/host-admin.ts'
import { readInvite } from '../../src/letter/invite.ts'
import { userIdText } from '../../src/letter/user-id.ts'
import { createHostAdmin } from '../../src/setup/host-admin.ts'
import { readHostFolder } from '../../src/setup/host-keys.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'
import { ApiClient } from './api-client.ts'

const folder = mkdtempSync(join(tmpdir(), 'peerpost-host-admin-'))
after(() => rmSync(folder, { recursive: true, force: true }))
const config = join(folder, 'host', 'host.toml')
const clock = new VirtualClock()
let api: ApiClient

function peerpost(...args: string[]): string {
  const run = spawnSync(process.execPath, ['src/cli/main.ts', ...args], { encoding: 'utf8' })
  assert.equal(run.status, 0, run.stderr)
  return run.stdout
}

before(() => {
  const mail = ['--receive', 'imap://a:b@127.0.0.1:1', '--send', 'smtp://127.0.0.1:1', '--yes']
  peerpost('init', 'host', '--dir', join(folder, 'host'), '--address', 'meet@mail.test', ...mail)
  const admin = createHostAdmin(readHostFolder(realCrypto, loadHostConfig(config, {})), () => clock.wallNow())
  api = new ApiClient(clock, hostAdminRoutes({ admin }))
})

test('an invite is shown once, is listed without its secret, and is revoked by its name', async () => {
  const made = await api.ask('POST', '/v1/invites', { name: 'chess club', until: '30d', uses: 5 })
  assert.equal(made.status, 200)
  assert.ok(readInvite(realCrypto, made.body.invite).ok)
  const { body } = await api.ask('GET', '/v1/invites')
  const [listed] = body.invites
  assert.deepEqual(
    [body.total, listed.id, listed.name, listed.state, listed.uses, listed.used],
    [1, made.body.id, 'chess club', 'open', 5, 0],
  )
  assert.ok(!JSON.stringify(body).includes(made.body.invite.slice(0, 40)))
  assert.match(peerpost('invite', '--config', config, '--list'), /chess club/)
  const revoked = await api.ask('DELETE', `/v1/invites/${encodeURIComponent('chess club')}`)
  assert.deepEqual(revoked.body, { id: made.body.id, removed: 0 })
  assert.equal((await api.ask('GET', '/v1/invites')).body.invites[0].state, 'revoked')
})

test('the API refuses the same as the command, with the same messages', async () => {
  const refused = async (body: object) => {
    const answer = await api.ask('POST', '/v1/invites', body)
    return `${answer.status} ${answer.body.error.message}`
  }
  assert.match(await refused({ until: 'soon' }), /^400 "--until soon" is no date/)
  assert.match(await refused({ room: 'nowhere' }), /^400 There is no room "nowhere"/)
  assert.match(await refused({ name: 'two\nlines' }), /^400 That is no name for an invite/)
  assert.match(await refused({ uses: 0 }), /^400 The body is not valid/)
  assert.match(await refused({ seed: 'mine' }), /^400 The body is not valid/)
  const unknown = await api.ask('DELETE', '/v1/invites/nothing')
  assert.deepEqual([unknown.status, unknown.body.error.message], [400, 'There is no invite "nothing".'])
})

test('a list has a maximum length and starts with the newest', async () => {
  const all = Array.from({ length: mostListed + 1 }, (_, index) => ({
    id: String(index),
    name: '',
    since: '2026-11-24T00:00:00.000Z',
  }))
  const many = new ApiClient(
    clock,
    hostAdminRoutes({ admin: { blocked: () => all } as unknown as HostAdmin }),
  )
  const { body } = await many.ask('GET', '/v1/blocked')
  assert.deepEqual([body.blocked.length, body.blocked[0].id, body.total], [mostListed, '500', mostListed + 1])
})

test('an agent is blocked, listed and unblocked by its user ID, and this needs a token', async () => {
  const id = userIdText(new Uint8Array(32).fill(7))
  assert.equal((await api.raw('PUT', `/v1/blocked/${id}`, { authorization: '' })).status, 401)
  assert.equal((await api.raw('POST', '/v1/invites', { authorization: '' }, '{}')).status, 401)
  assert.equal((await api.ask('PUT', `/v1/blocked/${id}`)).body.id, id)
  const { body } = await api.ask('GET', '/v1/blocked')
  assert.deepEqual([body.total, body.blocked[0].id], [1, id])
  assert.match(peerpost('block', '--config', config, '--list'), new RegExp(id))
  assert.equal((await api.ask('DELETE', `/v1/blocked/${id}`)).status, 200)
  assert.deepEqual((await api.ask('GET', '/v1/blocked')).body, { blocked: [], total: 0 })
  const nobody = await api.ask('PUT', '/v1/blocked/nobody')
  assert.deepEqual([nobody.status, nobody.body.error.code], [400, 'usage'])
})
