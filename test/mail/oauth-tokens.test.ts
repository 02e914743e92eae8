// OAuth 2.0 with real Dovecot (IMAP, POP3) and Postfix (SMTP), which check each token at a token server.

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Problem } from '../../src/base/problem.ts'
import { logIn } from '../../src/mail/auth/oauth-login.ts'
import { createTokenSource, type OAuthClient } from '../../src/mail/auth/oauth-tokens.ts'
import { createSender, openMailbox } from '../../src/mail/open-mailbox.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { deferIn } from '../harness/defer.ts'
import { startMailServers } from '../harness/mail-servers.ts'
import { fetchUntil, rawMail, testSubject, watchMailbox } from '../harness/mailbox-helpers.ts'
import { lacks } from '../harness/needs.ts'
import { problemOf } from '../harness/problem-of.ts'
import { startScriptedPop3 } from '../harness/scripted-pop3.ts'
import { startTokenServer } from '../harness/token-server.ts'
import { VirtualClock } from '../harness/virtual-clock.ts'

const address = 'ann@mail.test'
const filter = { subject: testSubject, address, maxBytes: 20_000 }

async function stage(context: TestContext, sourceClock = clock) {
  const defer = deferIn(context)
  const server = await startTokenServer()
  defer(() => server.stop())
  const client: OAuthClient = {
    endpoints: {
      tokenUrl: `${server.url}/token`,
      authorizeUrl: `${server.url}/authorize`,
      deviceUrl: `${server.url}/device`,
      scope: 'mail',
    },
    clientId: 'game',
    clientSecret: null,
  }
  const saved: string[] = [server.grant(address)]
  const source = (changes: Partial<OAuthClient> = {}) =>
    createTokenSource({
      clock: sourceClock,
      client: { ...client, ...changes },
      readRefreshToken: () => saved.at(-1) ?? '',
      saveRefreshToken: (token) => void saved.push(token),
    })
  return { defer, server, client, saved, source }
}

test('IMAP, POP3 and SMTP share one access token', {
  skip: lacks('postfix', 'dovecot'),
}, async (context) => {
  const { defer, server, source } = await stage(context)
  const office = await startMailServers({ tokenInfoUrl: server.tokenInfoUrl })
  defer(() => office.stop())
  const accessToken = source()
  const bare = (url: string) => url.replace(/:[^:@/]+@/, '@')
  const sender = createSender(bare(office.smtpUrl('ann')), { clock, accessToken })
  defer(() => sender.close())
  await sender.verify()
  for (const url of [office.imapUrl('ann'), office.pop3Url('ann')]) {
    const mailbox = openMailbox(bare(url), filter, { clock, accessToken, pop3: { pollMs: 50, lingerMs: 50 } })
    defer(() => mailbox.close())
    const watched = watchMailbox(mailbox)
    await mailbox.open()
    const raw = rawMail({ to: address, text: 'hello' })
    assert.deepEqual(await sender.send({ from: address, to: [address], raw }), { outcome: 'sent' })
    const [mail] = await fetchUntil(mailbox, watched, 1)
    await mailbox.remove([mail?.ref ?? ''])
    await mailbox.close()
  }
  assert.equal(server.requests.length, 1)
})

test('a token that was revoked early is renewed at the next login', {
  skip: lacks('postfix', 'dovecot'),
}, async (context) => {
  const { defer, server, source } = await stage(context)
  const office = await startMailServers({ tokenInfoUrl: server.tokenInfoUrl })
  defer(() => office.stop())
  const accessToken = source()
  const bare = (url: string) => url.replace(/:[^:@/]+@/, '@')
  await accessToken()
  let count = server.requests.length
  for (const url of [office.imapUrl('ann'), office.pop3Url('ann')]) {
    server.revokeAccess()
    const mailbox = openMailbox(bare(url), filter, { clock, accessToken })
    defer(() => mailbox.close())
    await mailbox.open()
    assert.equal(server.requests.length, ++count)
  }
  server.revokeAccess()
  const sender = createSender(bare(office.smtpUrl('ann')), { clock, accessToken })
  defer(() => sender.close())
  await sender.verify()
  assert.equal(server.requests.length, ++count)
})

test('a token is used until shortly before its end, and a replaced refresh token is saved at once', async (context) => {
  const virtual = new VirtualClock()
  const { server, saved, source } = await stage(context, { ...clock, now: () => virtual.now() })
  server.rotates = true
  const accessToken = source()
  const [first, same] = await Promise.all([accessToken(), accessToken()])
  assert.equal(first, same)
  assert.equal(await accessToken(), first)
  assert.equal(saved.length, 2)
  virtual.sleep(3_500_000)
  assert.notEqual(await accessToken(), first)
  assert.equal(saved.length, 3)
  assert.deepEqual(
    server.requests.map((fields) => fields.get('refresh_token')),
    saved.slice(0, 2),
  )
})

test('refusals of the token server give a Problem with a remedy', async (context) => {
  const { server, saved, source } = await stage(context)
  saved.push('refresh-hunter2')
  const ended = await problemOf(() => source()())
  assert.equal(ended.code, 'mail-login')
  assert.match(ended.line, /has ended: Token has been expired or revoked\. Run `peerpost login/)
  const unknown = await problemOf(() => source({ clientId: 'other' })())
  assert.match(unknown.line, /does not know this program.*client_id/)
  for (const fault of [
    { status: 500, body: 'oops' },
    { status: 200, body: '{}' },
    { status: 200, body: '{"access_token":"a\\r\\nb"}' },
    { status: 200, body: 'x'.repeat(1_000_000) },
    { status: 302, body: '' },
    { status: 503, body: '{"error":"temporarily_unavailable"}' },
  ]) {
    server.fault = fault
    assert.equal(
      (await problemOf(() => source()())).code,
      'mail-connection',
      JSON.stringify(fault).slice(0, 80),
    )
  }
  const endpoints = {
    tokenUrl: 'http://login.example.org/token',
    authorizeUrl: null,
    deviceUrl: null,
    scope: '',
  }
  assert.match((await problemOf(() => source({ endpoints })())).line, /not protected by TLS/)
})

test('a refused token is a login problem that names the server', async (context) => {
  const { defer, source } = await stage(context)
  const challenge = Buffer.from('{"status":"400"}').toString('base64')
  const pop3 = await startScriptedPop3({
    capabilities: ['SASL XOAUTH2', 'UIDL', 'TOP'],
    answer: (command) => {
      if (command === 'AUTH XOAUTH2') return '+ '
      if (command === '') return '-ERR [AUTH] no'
      return /^[A-Za-z0-9+/=]{20,}$/.test(command) ? `+ ${challenge}` : undefined
    },
  })
  defer(() => pop3.stop())
  const mailbox = openMailbox(`pop3://ann@127.0.0.1:${pop3.port}`, filter, { clock, accessToken: source() })
  const problem = await problemOf(() => mailbox.open())
  assert.equal(problem.code, 'mail-login')
  assert.match(problem.line, /POP3 server 127\.0\.0\.1:\d+ does not let ann in/)
  assert.equal(
    pop3.commands.filter((command) => command === 'AUTH XOAUTH2').length,
    2,
    'the second time with a new token',
  )
})

test('a person logs in by a code, or by a page that redirects', async (context) => {
  const { server, client } = await stage(context)
  const randomBytes = (length: number) => crypto.getRandomValues(new Uint8Array(length))
  const options = { clock, client, randomBytes, address, limitMs: 10_000 }
  const byCode = await logIn({
    ...options,
    showPage: (url, code) => {
      assert.equal(url, `${server.url}/activate`)
      server.agree(code ?? '', address)
    },
  })
  assert.match(byCode, /^refresh-/)
  const redirecting = { ...client, endpoints: { ...client.endpoints, deviceUrl: null } }
  let answer: Promise<string> | null = null
  const byPage = await logIn({
    ...options,
    client: redirecting,
    showPage: (url, code) => {
      assert.equal(code, null)
      answer = fetch(url).then((response) => response.text())
    },
  })
  assert.match(byPage, /^refresh-/)
  assert.match((await answer) ?? '', /You can close this page/)
})

test('a request without the state gets nothing and does not end the login, which then times out', async (context) => {
  const { client } = await stage(context)
  const randomBytes = (length: number) => crypto.getRandomValues(new Uint8Array(length))
  const endpoints = { ...client.endpoints, deviceUrl: null }
  const problem = await problemOf(() =>
    logIn({
      clock,
      client: { ...client, endpoints },
      randomBytes,
      address,
      limitMs: 300,
      showPage: (url) => {
        const back = new URL(url).searchParams.get('redirect_uri') ?? ''
        for (const query of ['?code=stolen', '?code=stolen&state=guess', '?error=no']) {
          fetch(`${back}${query}`).then(
            (response) => assert.equal(response.status, 404),
            (error: unknown) => assert.fail(String(error)),
          )
        }
      },
    }),
  )
  assert.ok(problem instanceof Problem)
  assert.match(problem.line, /Nobody has let peerpost in/)
})
