import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Problem } from '../../src/base/problem.ts'
import {
  allowsClearText,
  formatMailUrl,
  isLoopbackHost,
  parseReceiveUrl,
  parseSendUrl,
  redactMailUrl,
  withPassword,
} from '../../src/mail/mail-url.ts'

function problemOf(work: () => unknown): Problem {
  try {
    work()
  } catch (error) {
    assert.ok(error instanceof Problem, String(error))
    assert.equal(error.code, 'config')
    assert.notEqual(error.remedy, '')
    return error
  }
  return assert.fail('nothing was thrown')
}

test('an IMAP URL gives server, login, folder and use of TLS', () => {
  assert.deepEqual(parseReceiveUrl('imaps://ann%40example.org:p%3A%2F%40ss@mail.example.org'), {
    protocol: 'imap',
    host: 'mail.example.org',
    port: 993,
    user: 'ann@example.org',
    password: 'p:/@ss',
    tls: 'always',
    folder: 'INBOX',
  })
  assert.deepEqual(parseReceiveUrl('imap://ann@[::1]:80?tls=never&folder=Game%20mail'), {
    protocol: 'imap',
    host: '::1',
    port: 80,
    user: 'ann',
    password: null,
    tls: 'never',
    folder: 'Game mail',
  })
})

test('each scheme has its default port and use of TLS', () => {
  const of = (url: string) => {
    const parsed = /^smtp/.test(url) ? parseSendUrl(url) : parseReceiveUrl(url)
    return parsed.protocol === 'maildir' ? parsed.folder : [parsed.protocol, parsed.port, parsed.tls]
  }
  assert.deepEqual(of('imap://u@h'), ['imap', 143, 'offered'])
  assert.deepEqual(of('pop3://u@h'), ['pop3', 110, 'offered'])
  assert.deepEqual(of('pop3s://u@h'), ['pop3', 995, 'always'])
  assert.deepEqual(of('smtp://u@h'), ['smtp', 587, 'offered'])
  assert.deepEqual(of('smtps://u@h'), ['smtp', 465, 'always'])
  assert.deepEqual(of('mailpit+http://h/box/'), ['mailpit', 8025, 'offered'])
  assert.deepEqual(of('mailpit+https://h'), ['mailpit', 8025, 'always'])
})

test('a POP3 URL may have a poll interval in seconds', () => {
  const pollOf = (url: string) => {
    const parsed = parseReceiveUrl(url)
    return parsed.protocol === 'pop3' ? parsed.pollMs : assert.fail(url)
  }
  assert.equal(pollOf('pop3s://u@h'), null)
  assert.equal(pollOf('pop3s://u@h?poll=30'), 30_000)
  for (const poll of ['0', '-1', '1.5', '5s', '3601', '']) {
    problemOf(() => parseReceiveUrl(`pop3s://u@h?poll=${poll}`))
  }
  problemOf(() => parseReceiveUrl('imaps://u@h?poll=30'))
})

test('a Maildir URL has an absolute or relative folder with percent-encoding', () => {
  const folderOf = (url: string) => {
    const parsed = parseReceiveUrl(url)
    return parsed.protocol === 'maildir' ? parsed.folder : null
  }
  assert.equal(folderOf('maildir:/var/mail/host'), '/var/mail/host')
  assert.equal(folderOf('maildir:///var/mail/host'), '/var/mail/host')
  assert.equal(folderOf('maildir:mail/my%20host'), 'mail/my host')
  problemOf(() => parseReceiveUrl('maildir:'))
})

test('a wrong URL is a Problem that names the fault and never contains the password', () => {
  const wrong = [
    'imap://ann:secret@',
    'imap://:secret@host',
    'gopher://ann:secret@host',
    'imap://ann:secret@host:99999',
    'imap://ann:secret@host:0',
    'imap://ann:secret@host/INBOX',
    'imap://ann:secret@host?tls=maybe',
    'imaps://ann:secret@host?tls=never',
    'imap://ann:secret@host?fodler=x',
    'imap://ann:secret%zz@host',
    'imap://ann:secret%0d%0aEVIL@host',
    'imap://ann:sec/secret@host',
    'imap://ann:se#secret@host',
    'imap://ann:sec@secret@host/x',
    'smtp://ann:secret@host',
    'ann:secret@host',
    'constructor://ann:secret@host',
    '',
  ]
  for (const url of wrong) {
    const problem = problemOf(() => parseReceiveUrl(url))
    assert.ok(!problem.line.includes('secret'), problem.line)
    assert.ok(!problem.line.includes('\n'))
  }
  problemOf(() => parseSendUrl('imap://ann:secret@host'))
  problemOf(() => parseSendUrl('maildir:/x'))
})

test('redaction hides a password with any characters', () => {
  assert.equal(redactMailUrl('imap://ann:secret@host?folder=x'), 'imap://ann:***@host?folder=x')
  assert.equal(redactMailUrl('imap://ann:se/cr@et@host'), 'imap://ann:***@host')
  assert.equal(redactMailUrl('smtp://ann@host'), 'smtp://ann@host')
  assert.equal(redactMailUrl('maildir:/var/mail'), 'maildir:/var/mail')
  fc.assert(
    fc.property(fc.stringMatching(/^[!-~]{6,30}$/), (secret) => {
      assert.ok(!redactMailUrl(`imap://ann:<${secret}>@host`).includes(`<${secret}>`))
    }),
  )
})

test('a formatted URL parses to the same value', () => {
  const text = fc
    .string({ unit: 'binary', minLength: 1, maxLength: 20 })
    .filter((s) => !/\p{Cc}|\p{Cs}/u.test(s))
  const server = fc.record({
    host: fc.constantFrom('mail.example.org', '192.0.2.7', '2001:db8::1', 'localhost'),
    port: fc.integer({ min: 1, max: 65535 }),
    user: text,
    password: fc.option(text),
  })
  fc.assert(
    fc.property(
      server,
      fc.constantFrom('always' as const, 'offered' as const, 'never' as const),
      text,
      fc.option(fc.integer({ min: 1, max: 3600 }).map((seconds) => seconds * 1_000)),
      (s, tls, folder, polls) => {
        const url = { protocol: 'imap' as const, ...s, tls, folder }
        assert.deepEqual(parseReceiveUrl(formatMailUrl(url, { withPassword: true })), url)
        assert.deepEqual(parseReceiveUrl(formatMailUrl(url, { withPassword: false })), {
          ...url,
          password: null,
        })
        const send = { protocol: 'smtp' as const, ...s, tls }
        assert.deepEqual(parseSendUrl(formatMailUrl(send, { withPassword: true })), send)
        const pop3 = { protocol: 'pop3' as const, ...s, tls, pollMs: polls }
        assert.deepEqual(parseReceiveUrl(formatMailUrl(pop3, { withPassword: true })), pop3)
        if (tls !== 'always') {
          const mailpit = { protocol: 'mailpit' as const, ...s, tls, path: 'box/mail' }
          assert.deepEqual(parseReceiveUrl(formatMailUrl(mailpit, { withPassword: true })), mailpit)
        }
        const maildir = { protocol: 'maildir' as const, folder }
        assert.deepEqual(parseReceiveUrl(formatMailUrl(maildir, { withPassword: true })), maildir)
      },
    ),
  )
})

test('the password of a secret file is used if the URL has none', () => {
  const bare = parseSendUrl('smtp://ann@host')
  assert.equal(withPassword(bare, 'from file').password, 'from file')
  assert.equal(withPassword(parseSendUrl('smtp://ann:own@host'), 'from file').password, 'own')
})

test('clear text is allowed for loopback and with tls=never', () => {
  assert.ok(allowsClearText(parseSendUrl('smtp://u@127.0.0.1')))
  assert.ok(allowsClearText(parseSendUrl('smtp://u@192.0.2.1?tls=never')))
  assert.ok(!allowsClearText(parseSendUrl('smtp://u@192.0.2.1')))
  for (const host of ['localhost', '127.9.9.9', '::1', 'mail.localhost'])
    assert.ok(isLoopbackHost(host), host)
  for (const host of ['localhost.example.org', '10.0.0.1', '127.0.0.1.example.org', 'mylocalhost'])
    assert.ok(!isLoopbackHost(host), host)
})
