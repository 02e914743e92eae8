// The routes for monitoring: liveness, readiness and metrics, with and without a token.

import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { AccessTokens } from '../../src/api/access-tokens.ts'
import { createControlApp } from '../../src/api/app.ts'
import { hostRoutes } from '../../src/api/host-routes.ts'
import { formatMetrics } from '../../src/api/prometheus.ts'
import type { Route } from '../../src/api/route.ts'
import { Problem } from '../../src/base/problem.ts'
import { EventLog } from '../../src/daemon/event-log.ts'
import type { HostAdmin } from '../../src/daemon/host-admin.ts'
import { HostControl } from '../../src/daemon/host-control.ts'
import { gauge } from '../../src/daemon/metrics.ts'
import type { HostCounters } from '../../src/host/host.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'
import { ApiClient, endpoint } from './api-client.ts'
import { assertExposition } from './exposition-format.ts'

const counters: HostCounters = {
  letters: { 'request accepted': 3, 'unknown dropped wrong-key': 2 },
  mails: { 'reply sent': 3 },
  entries: 2,
  waitingMails: 1,
  waitingIntroductions: 0,
  seenLetters: 5,
  sentInDay: 7,
}

function monitoredHost(clock: VirtualClock) {
  const host: { scannedAt: number | null; counters: () => HostCounters } = {
    scannedAt: null,
    counters: () => counters,
  }
  const settings = { capacity: 100, outboxCapacity: 20, seenCapacity: 1_000, perDay: 400 }
  const control = new HostControl({
    clock,
    host,
    settings,
    address: 'meet@mail.test',
    rooms: ['lobby'],
    maxScanAgeMs: 180_000,
    admin: {} as HostAdmin,
  })
  return { host, control, client: new ApiClient(clock, hostRoutes(control)) }
}

test('a host is ready while the last scan of its mailbox is recent and its database works', async () => {
  const clock = new VirtualClock()
  const { host, control, client } = monitoredHost(clock)
  const readiness = async () => {
    const { status, body } = await client.ask('GET', '/readyz')
    return [status, body.error?.code ?? 'ready', body.error?.message ?? '']
  }
  assert.deepEqual(await readiness(), [503, 'not-ready', 'The host is starting.'])
  control.handleEvent({ event: 'ready', address: 'meet@mail.test', rooms: ['lobby'] })
  control.handleEvent({ event: 'mailbox', state: 'connected' })
  assert.deepEqual(await readiness(), [503, 'not-ready', 'The mailbox could not be searched yet.'])
  host.scannedAt = clock.now()
  assert.deepEqual(await readiness(), [200, 'ready', ''])
  await clock.advance(180_000)
  assert.equal((await readiness())[0], 200)
  await clock.advance(1_000)
  control.handleEvent({
    event: 'mailbox',
    state: 'disconnected',
    reason: 'refused by 198.51.100.7',
    retryInMs: 5,
  })
  const why = 'The mailbox could not be searched for 181 s: refused by 198.51.…'
  assert.deepEqual(await readiness(), [503, 'not-ready', why])
  host.scannedAt = clock.now()
  host.counters = () => {
    throw new Problem('database', 'The database failed.', 'Look at the disk.')
  }
  assert.deepEqual(await readiness(), [503, 'database', 'The database failed.'])
  assert.equal((await client.ask('GET', '/healthz')).status, 200)
})

test('the metrics of a host have the format and the names of Prometheus, and contain no addresses', async () => {
  const clock = new VirtualClock()
  const { host, client } = monitoredHost(clock)
  host.scannedAt = clock.now()
  await clock.advance(2_500)
  const response = await client.raw('GET', '/metrics')
  assert.match(response.headers.get('content-type') ?? '', /^text\/plain; version=0\.0\.4/)
  const text = await response.text()
  assert.ok(text.includes('peerpost_letters_total{kind="unknown",outcome="dropped",reason="wrong-key"} 2\n'))
  assert.ok(text.includes('peerpost_mails_total{kind="reply",outcome="sent"} 3\n'))
  assert.ok(text.includes('peerpost_mailbox_scan_age_seconds 2.5\n'))
  assert.ok(text.includes('peerpost_ready 0\n'))
  assert.match(text, /^process_resident_memory_bytes [1-9]\d+$/m)
  assert.ok(!text.includes('@'))
  assertExposition(text)
})

test('liveness and readiness need no token, and the token for metrics gives access to metrics only', async () => {
  const clock = new VirtualClock()
  const { control } = monitoredHost(clock)
  const crypto = seededCrypto(1)
  const metricsToken = 'm'.repeat(64)
  const access = new AccessTokens({
    clock,
    randomBytes: (length) => crypto.randomBytes(length),
    metricsToken,
  })
  const app = createControlApp({
    clock,
    access,
    log: new EventLog('run'),
    routes: hostRoutes(control),
    describe: () => null,
    endpoint: () => endpoint,
  })
  const ask = async (path: string, token?: string) => {
    const headers = { host: `127.0.0.1:${endpoint.port}`, ...(token && { authorization: `Bearer ${token}` }) }
    return (await app.fetch(new Request(`http://127.0.0.1:${endpoint.port}${path}`, { headers }))).status
  }
  const paths = ['/healthz', '/readyz', '/metrics', '/v1/status', '/v1/openapi.json', '/v1/events']
  const statuses = async (token?: string) => {
    const codes: number[] = []
    for (const path of paths) codes.push(await ask(path, token))
    return codes
  }
  assert.deepEqual(await statuses(), [200, 503, 401, 401, 401, 401])
  assert.deepEqual(await statuses('n'.repeat(64)), [200, 503, 401, 401, 401, 401])
  assert.deepEqual(await statuses(metricsToken), [200, 503, 200, 401, 401, 401])
  assert.deepEqual(await statuses(access.token), [200, 503, 200, 200, 200, 200])
  const owners: readonly Route['need'][] = hostRoutes(control).map(({ need }) => need)
  assert.ok(owners.includes('metrics'))
  app.close()
})

test('each sample is one line, whatever its label and help contain', () => {
  fc.assert(
    fc.property(fc.string(), fc.string(), fc.double(), (help, label, value) => {
      const text = formatMetrics([
        { name: 'a_total', type: 'counter', help, samples: [{ labels: { label }, value }] },
        gauge('nothing', 'Left out.', null),
      ])
      assert.equal(text.split('\n').length, 4)
      assertExposition(text)
    }),
  )
})
