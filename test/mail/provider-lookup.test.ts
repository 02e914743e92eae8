import assert from 'node:assert/strict'
import { test } from 'node:test'
import { formatMailUrl, parseReceiveUrl, parseSendUrl } from '../../src/mail/mail-url.ts'
import { providers } from '../../src/mail/providers/provider-data.ts'
import {
  loginAdvice,
  providerOf,
  providerOfServer,
  providerUrls,
} from '../../src/mail/providers/provider-lookup.ts'

const urlsOf = (address: string) => {
  const provider = providerOf(address)
  assert.ok(provider, address)
  const { receive, send } = providerUrls(provider, address)
  return [formatMailUrl(receive, { withPassword: false }), formatMailUrl(send, { withPassword: false })]
}

test('the address gives the servers, in upper and lower case', () => {
  assert.deepEqual(urlsOf('Anna@GMail.com'), [
    'imaps://Anna%40GMail.com@imap.gmail.com',
    'smtps://Anna%40GMail.com@smtp.gmail.com',
  ])
  assert.deepEqual(urlsOf('anna@hotmail.co.uk'), [
    'imaps://anna%40hotmail.co.uk@outlook.office365.com',
    'smtp://anna%40hotmail.co.uk@smtp-mail.outlook.com',
  ])
  assert.deepEqual(urlsOf('anna@icloud.com'), [
    'imaps://anna@imap.mail.me.com',
    'smtp://anna%40icloud.com@smtp.mail.me.com',
  ])
  assert.deepEqual(urlsOf('anna@proton.me'), [
    'imap://anna%40proton.me@127.0.0.1:1143',
    'smtp://anna%40proton.me@127.0.0.1:1025',
  ])
})

test('a domain that is only similar to a known one has no provider', () => {
  for (const address of ['a@example.org', 'a@gmail.com.example.org', 'a@notgmail.com', 'gmail', '']) {
    assert.equal(providerOf(address), null, address)
  }
})

test('a server gives its provider, but loopback does not', () => {
  assert.equal(providerOfServer('IMAP.gmail.com')?.name, 'Gmail')
  assert.equal(providerOfServer('smtp-mail.outlook.com')?.name, 'Outlook.com')
  assert.equal(providerOfServer('127.0.0.1'), null)
})

test('every provider gives URLs that parse to the same value, and every domain is listed once', () => {
  const seen = new Set<string>()
  for (const provider of providers) {
    for (const domain of provider.domains) {
      assert.ok(!seen.has(domain), domain)
      seen.add(domain)
      const address = `anna@${domain}`
      assert.equal(providerOf(address), provider)
      const { receive, send } = providerUrls(provider, address)
      assert.deepEqual(parseReceiveUrl(formatMailUrl(receive, { withPassword: false })), receive)
      assert.deepEqual(parseSendUrl(formatMailUrl(send, { withPassword: false })), send)
    }
    assert.match(loginAdvice(provider) ?? 'nothing to know', /^[^\n]{10,300}$/)
    if (provider.login.kind === 'oauth') assert.ok(provider.oauth)
  }
})

test('the advice says where to create a password, or that OAuth 2.0 is needed', () => {
  const advice = (address: string) => loginAdvice(providerOf(address) ?? assert.fail(address))
  assert.match(advice('a@gmail.com') ?? '', /myaccount\.google\.com\/apppasswords.*Two-step/)
  assert.match(advice('a@outlook.com') ?? '', /no passwords.*OAuth/)
  assert.equal(advice('a@posteo.de'), null)
})
