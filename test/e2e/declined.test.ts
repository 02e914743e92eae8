// An agent over its limit, as a person runs it, on real mail servers: told once when to come again, quiet until then. The
// clocks of host and agent leap, for limits count by the hour.

import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type IncomingMessage, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { controlFileOf } from '../../src/api/control-file.ts'
import type { ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { deferIn } from '../harness/defer.ts'
import { startMailServers } from '../harness/mail-servers.ts'
import { lacks } from '../harness/needs.ts'
import { mailAt, TestDeployment } from '../harness/test-deployment.ts'

const lettersAnHour = 6
const oneLetterMs = 3_600_000 / lettersAnHour
/** An agent asks no sooner than this after its last request. */
const mannersMs = 15_000
const clockScript = fileURLToPath(new URL('../harness/clock-jump.ts', import.meta.url))

function all(process: PeerpostProcess, event: string): readonly ChildEvent[] {
  return process.events.filter((candidate) => candidate.event === event)
}

/** The nth of its kind, counted from 1. */
async function nth(process: PeerpostProcess, event: string, number: number): Promise<ChildEvent> {
  await process.waitFor(event, () => all(process, event).length >= number)
  return all(process, event)[number - 1] as ChildEvent
}

/** As the page's button does, by a connection of its own: the daemon's clock leaps, and ends those that seem idle. */
async function askAgain(config: string): Promise<{ readonly status: number; readonly body: string }> {
  const { url, token } = JSON.parse(readFileSync(controlFileOf(config), 'utf8'))
  const headers = { authorization: `Bearer ${token}` }
  const asking = request(`${url}/v1/room/join`, { method: 'POST', headers, agent: false }).end()
  const [response] = (await once(asking, 'response')) as [IncomingMessage]
  return { status: response.statusCode ?? 0, body: await text(response) }
}

const at = (event: ChildEvent): number => Date.parse(String(event.at))

test('who asks too often is told once, says so, asks again when told to and is answered; meanwhile all it asks meets silence', {
  skip: lacks('postfix', 'dovecot'),
  timeout: 120_000,
}, async (context) => {
  const defer = deferIn(context)
  const mailServers = await startMailServers()
  defer(() => mailServers.stop())
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-leap-'))
  defer(() => rmSync(folder, { recursive: true }))
  const aheadFile = join(folder, 'ahead')
  let ahead = 0
  writeFileSync(aheadFile, '0')
  const environment = [`NODE_OPTIONS=--import=${clockScript}`, `CLOCK_AHEAD_FILE=${aheadFile}`]
  const hostChanges = [['# per_key = 240', `per_key = ${lettersAnHour}`]] as const
  const deployment = await TestDeployment.withHost(defer, {
    mailOf: mailAt(mailServers),
    environment,
    hostChanges,
  })
  await deployment.makeAgent('anna')
  const config = deployment.agentConfig('anna')
  const { host } = deployment
  let anna = deployment.startAgent('anna')
  const leap = (ms: number) => {
    ahead += ms
    writeFileSync(aheadFile, String(ahead))
    for (const child of [host, anna]) child.kill('SIGUSR2')
  }
  const sentReplies = () => all(host, 'sent').filter(({ kind }) => kind === 'reply').length
  const dropped = () => all(host, 'letter').filter(({ reason }) => reason === 'too-often').length
  const askNow = async () => {
    const answer = await askAgain(config)
    leap(mannersMs)
    return answer
  }

  let granted = 0
  while (all(anna, 'declined').length === 0) {
    assert.ok(granted < 2 * lettersAnHour, 'the host grants any number')
    await Promise.race([nth(anna, 'replied', granted + 1), nth(anna, 'declined', 1)])
    granted = all(anna, 'replied').length
    if (all(anna, 'declined').length === 0) await askNow()
  }
  const declined = await nth(anna, 'declined', 1)
  const againInMs = Number(declined.againInMs)
  assert.ok(granted >= lettersAnHour)
  assert.equal(declined.reason, 'too-often')
  assert.ok(againInMs > mannersMs && againInMs <= oneLetterMs, `told to come in ${againInMs} ms`)

  const program = [...environment, process.execPath, 'src/cli/main.ts']
  const status = spawnSync('env', [...program, 'status', '--config', config], { encoding: 'utf8' })
  assert.match(status.stdout, /The host was asked too often.* Asking again in \d+ (s|min)\./)

  // A person who presses the button is told why nothing happens; a request goes out at the time, not before.
  const { length: requested } = all(anna, 'requested')
  const pressed = await askNow()
  assert.equal(pressed.status, 409)
  assert.match(pressed.body, /"declined".*asked too often.*asked again by itself at /)
  leap(againInMs - 2 * mannersMs)
  await sleep(1_000)
  assert.equal(all(anna, 'requested').length, requested)
  leap(2 * mannersMs)
  await nth(anna, 'replied', granted + 1)
  const again = await nth(anna, 'requested', requested + 1)
  assert.ok(at(again) - at(declined) >= againInMs)
  await host.waitFor('sent', () => sentReplies() === granted + 2)

  // Over the limit again. One that is started anew knows nothing of it, asks, and hears nothing.
  await askNow()
  const second = await nth(anna, 'declined', 2)
  await host.waitFor('sent', () => sentReplies() === granted + 3)
  assert.equal(await anna.stop(10_000), 0, anna.errors)
  anna = deployment.startAgent('anna')
  for (let more = 0, before = dropped(); more < 4; more++) {
    await host.waitFor('letter', () => dropped() > before + more)
    await askNow()
  }
  assert.deepEqual([sentReplies(), all(anna, 'replied').length], [granted + 3, 0])
  leap(Number(second.againInMs))
  await anna.waitFor('replied')
  assert.equal(all(anna, 'declined').length, 0)
  assert.equal(await anna.stop(10_000), 0, anna.errors)
})
