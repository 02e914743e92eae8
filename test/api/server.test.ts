// The control API on a real port: authorization, limits and hostile requests.

import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { request } from 'node:http'
import { connect, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import fc from 'fast-check'
import { z } from 'zod'
import { codeMs } from '../../src/api/access-tokens.ts'
import { controlFileOf, readControlFile } from '../../src/api/control-file.ts'
import type { Route } from '../../src/api/route.ts'
import { startControlServer } from '../../src/api/server.ts'
import { EventLog } from '../../src/daemon/event-log.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { deferIn } from '../harness/defer.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'

const routes: readonly Route[] = [
  {
    method: 'GET',
    path: '/v1/status',
    operationId: 'getStatus',
    summary: '',
    need: 'any-caller',
    answer: z.strictObject({ ok: z.literal(true) }),
    handle: () => ({ ok: true }),
  },
  {
    method: 'POST',
    path: '/v1/names',
    operationId: 'addName',
    summary: '',
    need: 'any-caller',
    body: z.strictObject({ name: z.string() }),
    answer: z.strictObject({ name: z.string() }),
    handle: ({ body }) => body,
  },
]

async function serve(context: TestContext) {
  const defer = deferIn(context)
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-control-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  const crypto = seededCrypto(3)
  const log = new EventLog('run')
  const configFile = join(folder, 'agent.toml')
  const server = await startControlServer({
    clock: systemClock,
    log,
    routes,
    configFile,
    describe: () => null,
    randomBytes: (length) => crypto.randomBytes(length),
    listen: { address: '127.0.0.1', port: 0 },
  })
  defer(() => server.close())
  const file = controlFileOf(configFile)
  const { url, token } = readControlFile(file) ?? assert.fail('there is a control file')
  const { port } = server.endpoint
  /** Sends any headers, also those that fetch does not send. */
  const ask = (path: string, headers: Record<string, string> = {}, method = 'GET', body?: string) =>
    new Promise<{ status: number; headers: NodeJS.Dict<string | string[]>; body: string }>(
      (resolve, reject) => {
        const all = { authorization: `Bearer ${token}`, ...headers }
        const given = Object.fromEntries(Object.entries(all).filter(([, value]) => value !== ''))
        const asking = request({ host: '127.0.0.1', port, path, method, headers: given }, (answer) => {
          let text = ''
          answer.setEncoding('utf8').on('data', (part: string) => {
            text += part
          })
          answer.on('end', () =>
            resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: text }),
          )
        })
        asking.on('error', reject)
        asking.end(body)
      },
    )
  return { server, url, token, port, file, configFile, ask, log, defer }
}

const codeOf = ({ body }: { body: string }) => (JSON.parse(body) as { error: { code: string } }).error.code

test('the token of the control file is required, only the owner can read the file, and it is removed at the end', async (context) => {
  const { server, url, token, file, ask } = await serve(context)
  assert.equal(statSync(file).mode & 0o777, 0o600)
  assert.equal(token.length, 43)
  assert.deepEqual(
    await (await fetch(`${url}/v1/status`, { headers: { authorization: `Bearer ${token}` } })).json(),
    {
      ok: true,
    },
  )
  for (const authorization of [
    '',
    'Bearer',
    `Bearer ${token}x`,
    `Basic ${token}`,
    `Bearer ${token.slice(1)}`,
  ]) {
    const refused = await ask('/v1/status', { authorization })
    assert.deepEqual([refused.status, codeOf(refused)], [401, 'no-token'], authorization)
    assert.equal(refused.headers['www-authenticate'], 'Bearer')
  }
  assert.equal(
    codeOf(await ask('/v1/nothing', { authorization: '' })),
    'no-token',
    'without a token paths cannot be found out',
  )
  assert.equal((await ask('/v1/nothing')).status, 404)
  assert.equal((await ask('/v1/status', {}, 'DELETE')).status, 404)
  await server.close()
  assert.equal(existsSync(file), false)
})

test('other host names and other origins are refused, even with a valid token', async (context) => {
  const { ask, port } = await serve(context)
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    '127.0.0.1',
    'localhost',
    `127.0.0.1:${port + 1}`,
    `127.0.0.1.evil.example:${port}`,
  ]) {
    const refused = await ask('/v1/status', { host })
    assert.deepEqual([refused.status, host], [403, host])
    assert.equal(codeOf(refused), 'wrong-host')
    assert.equal((await ask('/', { host })).status, 403, 'not even the page')
  }
  for (const host of [`127.0.0.1:${port}`, `localhost:${port}`, `LOCALHOST:${port}`]) {
    assert.equal((await ask('/v1/status', { host })).status, 200)
  }
  const foreignOrigins = [
    'null',
    'http://evil.example',
    `http://127.0.0.1:${port + 1}`,
    `https://127.0.0.1:${port}`,
    `http://localhost:${port}`,
  ]
  for (const origin of foreignOrigins) {
    const refused = await ask('/v1/status', { origin, host: `127.0.0.1:${port}` })
    assert.deepEqual([refused.status, codeOf(refused)], [403, 'wrong-origin'], origin)
  }
  assert.equal(codeOf(await ask('/v1/status', { 'sec-fetch-site': 'cross-site' })), 'wrong-origin')
  assert.equal(codeOf(await ask('/v1/status', { 'sec-fetch-site': 'same-site' })), 'wrong-origin')
  assert.equal(
    (await ask('/v1/status', { origin: `http://127.0.0.1:${port}`, 'sec-fetch-site': 'same-origin' })).status,
    200,
  )
  const preflight = await ask(
    '/v1/status',
    { origin: 'http://evil.example', 'access-control-request-method': 'GET' },
    'OPTIONS',
  )
  assert.equal(preflight.headers['access-control-allow-origin'], undefined)
})

test('every answer has strict security headers', async (context) => {
  const { ask } = await serve(context)
  for (const path of ['/', '/v1/status', '/v1/nothing']) {
    const { headers } = await ask(path)
    assert.match(
      String(headers['content-security-policy']),
      /default-src 'none'.*frame-ancestors 'none'/,
      path,
    )
    assert.doesNotMatch(String(headers['content-security-policy']), /unsafe/)
    assert.deepEqual(
      [headers['x-content-type-options'], headers['cache-control'], headers['referrer-policy']],
      ['nosniff', 'no-store', 'no-referrer'],
    )
    assert.equal(headers['access-control-allow-origin'], undefined)
  }
})

test('bodies that are too big, not JSON or not valid for the route are refused', async (context) => {
  const { ask } = await serve(context)
  const big = JSON.stringify({ name: 'x'.repeat(5_000) })
  assert.deepEqual([(await ask('/v1/names', {}, 'POST', big)).status], [413])
  const chunked = await ask('/v1/names', { 'transfer-encoding': 'chunked' }, 'POST', big)
  assert.equal(codeOf(chunked), 'too-big')
  for (const body of ['', '{', '[]', 'null', '{"name":1}', '{"name":"a","more":1}']) {
    const refused = await ask('/v1/names', {}, 'POST', body)
    assert.deepEqual([refused.status, codeOf(refused)], [400, 'bad-body'], body)
  }
  assert.equal((await ask('/v1/names', {}, 'POST', '{"name":"a"}')).body, '{"name":"a"}')
})

/** Sends bytes on a new connection. `ended` resolves to all that the server has sent. */
function sendBytes(
  port: number,
  text: string | Buffer,
): { readonly socket: Socket; readonly ended: Promise<string> } {
  const socket = connect(port, '127.0.0.1')
  socket.write(text)
  let received = ''
  const ended = new Promise<string>((resolve) => {
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      received += chunk
    })
    socket.on('close', () => resolve(received))
    socket.on('error', () => {})
  })
  return { socket, ended }
}

test('too long headers and invalid HTTP are answered in JSON, and the connection ends', async (context) => {
  const { port } = await serve(context)
  const long = await sendBytes(
    port,
    `GET / HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nX: ${'x'.repeat(9_000)}\r\n\r\n`,
  ).ended
  assert.match(long, /^HTTP\/1\.1 431 /)
  assert.match(long, /"code":"too-long-headers"/)
  const odd = await sendBytes(port, '\x16\x03\x01 hello\r\n\r\n').ended
  assert.match(odd, /^HTTP\/1\.1 400 [\s\S]*"code":"malformed"/)
  const noHost = await sendBytes(port, 'GET / HTTP/1.1\r\n\r\n').ended
  assert.match(noHost, /^HTTP\/1\.1 400 /)
})

test('a slow request is ended after some seconds, while others are served', {
  timeout: 30_000,
}, async (context) => {
  const { port, ask } = await serve(context)
  const slow = sendBytes(port, `GET /v1/status HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\n`)
  let isOver = false
  void slow.ended.then(() => {
    isOver = true
  })
  while (!isOver) {
    slow.socket.write('X-Slow: 1\r\n')
    assert.equal((await ask('/v1/status')).status, 200)
    await new Promise((resolve) => setTimeout(resolve, 250))
  }
  assert.match(await slow.ended, /^HTTP\/1\.1 408 [\s\S]*"code":"too-slow"/)
})

test('beyond 64 connections new ones are closed, and the server works again when they are gone', async (context) => {
  const { port, ask } = await serve(context)
  const many = Array.from({ length: 80 }, () => sendBytes(port, ''))
  await Promise.race(many.map(({ ended }) => ended))
  for (const { socket } of many) socket.destroy()
  await Promise.all(many.map(({ ended }) => ended))
  for (;;) {
    const answer = await ask('/v1/status').catch(() => null)
    if (answer?.status === 200) break
  }
})

test('a code gives a token to one page once, and this page cannot make codes', async (context) => {
  const { ask, server } = await serve(context)
  const { url, expiresInMs } = JSON.parse((await ask('/v1/codes', {}, 'POST')).body) as {
    url: string
    expiresInMs: number
  }
  assert.equal(expiresInMs, codeMs)
  assert.match(url, new RegExp(`^http://127\\.0\\.0\\.1:${server.endpoint.port}/#code=[\\w-]{43}$`))
  const code = url.slice(url.indexOf('=') + 1)
  const handIn = (given: string) =>
    ask('/v1/session', { authorization: '' }, 'POST', JSON.stringify({ code: given }))
  const { token } = JSON.parse((await handIn(code)).body) as { token: string }
  assert.equal((await ask('/v1/status', { authorization: `Bearer ${token}` })).status, 200)
  assert.equal((await ask('/v1/codes', { authorization: `Bearer ${token}` }, 'POST')).status, 401)
  for (const bad of [code, '', 'x'.repeat(43)]) assert.equal(codeOf(await handIn(bad)), 'bad-code')
})

test('events stream until the daemon ends', async (context) => {
  const { url, token, log, server } = await serve(context)
  log.add({ event: 'waiting' })
  const headers = { authorization: `Bearer ${token}`, 'last-event-id': 'other-9' }
  const response = await fetch(`${url}/v1/events`, { headers })
  assert.equal(response.headers.get('content-type'), 'text/event-stream')
  const reader = response.body?.getReader()
  assert.ok(reader)
  let text = ''
  const readUntil = async (wanted: string) => {
    while (!text.includes(wanted)) text += new TextDecoder().decode((await reader.read()).value)
  }
  await readUntil('"waiting"')
  log.add({ event: 'left' })
  await readUntil('"left"')
  await server.close()
  // The stream has ended or was cut off.
  await reader.read().then(
    ({ done }) => assert.ok(done),
    () => {},
  )
})

test('the error for a taken port names it and has a remedy', async (context) => {
  const { defer, configFile, log } = await serve(context)
  const other = createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => other.once('listening', resolve))
  defer(() => void other.close())
  const { port } = other.address() as { port: number }
  const crypto = seededCrypto(4)
  await assert.rejects(
    startControlServer({
      clock: systemClock,
      log,
      routes,
      configFile,
      describe: () => null,
      randomBytes: (length) => crypto.randomBytes(length),
      listen: { address: '127.0.0.1', port },
    }),
    {
      code: 'port-taken',
      message: new RegExp(`TCP port ${port} of 127\\.0\\.0\\.1`),
      remedy: /\[control\] listen/,
    },
  )
})

test('an invalid control file is refused', async (context) => {
  const { file } = await serve(context)
  writeFileSync(file, '{"url":"ftp://x","token":"short"}', { mode: 0o600 })
  assert.throws(() => readControlFile(file), { code: 'file', remedy: /Restart/ })
  writeFileSync(file, 'x')
  assert.throws(() => readControlFile(file), { code: 'file' })
  assert.equal(readControlFile(`${file}.none`), null)
})

test('for any bytes the server answers or closes the connection, and serves the next one', {
  timeout: 60_000,
}, async (context) => {
  const { port, ask } = await serve(context)
  const line = fc.constantFrom(
    'GET / HTTP/1.1',
    'POST /v1/names HTTP/1.1',
    `Host: 127.0.0.1:${port}`,
    'Content-Length: 5',
    'Transfer-Encoding: chunked',
    'Host: x',
    '',
  )
  const noise = fc.oneof(
    fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    fc.array(line, { maxLength: 6 }).map((lines) => Buffer.from(`${lines.join('\r\n')}\r\n\r\n`)),
  )
  await fc.assert(
    fc.asyncProperty(noise, async (bytes) => {
      const { socket, ended } = sendBytes(port, bytes)
      socket.once('connect', () => socket.end())
      await ended
    }),
    { numRuns: 150 },
  )
  assert.equal((await ask('/v1/status')).status, 200)
})
