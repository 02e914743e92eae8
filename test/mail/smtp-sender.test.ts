import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { after, before, type TestContext, test } from 'node:test'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import { Problem } from '../../src/base/problem.ts'
import { createSender } from '../../src/mail/open-mailbox.ts'
import type { MailSender } from '../../src/mail/sender.ts'
import type { SmtpTiming } from '../../src/mail/smtp/smtp-sender.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { startConnectionProxy } from '../harness/connection-proxy.ts'
import { type MailServers, startMailServers, unknownUser } from '../harness/mail-servers.ts'
import { rawMail } from '../harness/mailbox-helpers.ts'
import { lacks } from '../harness/needs.ts'

const skip = lacks('postfix', 'dovecot')
let office: MailServers

before(async () => {
  if (!skip) office = await startMailServers()
})
after(async () => {
  if (!skip) await office.stop()
})

const mailTo = (to: string, text = 'x') => ({ from: 'bob@mail.test', to: [to], raw: rawMail({ to, text }) })

type Answer = { readonly code: number; readonly text: string }

/** A server that answers as the test says at each step, and keeps the mails that it accepted. */
async function startScriptedServer(
  t: TestContext,
  { rcpt, data, from }: { rcpt?: Answer; data?: Answer; from?: Answer },
  options: SMTPServerOptions = {},
) {
  const received: string[] = []
  const errorOf = (answer: Answer | undefined) =>
    answer ? Object.assign(new Error(answer.text), { responseCode: answer.code }) : null
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    disableReverseLookup: true,
    closeTimeout: 10,
    onAuth: (auth, _session, callback) =>
      auth.password === 'right' ? callback(null, { user: 'u' }) : callback(new Error('5.7.8 Wrong')),
    onMailFrom: (_address, _session, callback) => callback(errorOf(from)),
    onRcptTo: (_address, _session, callback) => callback(errorOf(rcpt)),
    onData: (stream, _session, callback) => {
      let text = ''
      stream.on('data', (chunk: Buffer) => {
        text += chunk.toString()
      })
      stream.on('end', () => {
        if (!data) received.push(text)
        callback(errorOf(data))
      })
    },
    ...options,
  })
  server.on('error', () => undefined)
  const listener = server.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const stop = () => new Promise<void>((resolve) => server.close(() => resolve()))
  t.after(stop)
  return { port, received, server, stop }
}

async function withSender<T>(
  url: string,
  work: (sender: MailSender) => Promise<T>,
  timing: Partial<SmtpTiming> = {},
) {
  const sender = createSender(url, { clock, timing })
  try {
    return await work(sender)
  } finally {
    await sender.close()
  }
}

const answers: readonly (readonly [
  string,
  { rcpt?: Answer; data?: Answer; from?: Answer },
  'later' | 'refused',
])[] = [
  ['an unknown mailbox', { rcpt: { code: 550, text: '5.1.1 User unknown' } }, 'refused'],
  ['an unknown mailbox without enhanced code', { rcpt: { code: 550, text: 'No such user' } }, 'refused'],
  ['a bad domain', { rcpt: { code: 550, text: '5.1.2 Host unknown' } }, 'refused'],
  ['a disabled mailbox', { rcpt: { code: 550, text: '5.2.1 Disabled' } }, 'refused'],
  ['an unknown mailbox reported after DATA', { data: { code: 550, text: '5.1.1 User unknown' } }, 'refused'],
  ['a mail too big', { data: { code: 552, text: '5.3.4 Too big' } }, 'refused'],
  ['greylisting', { rcpt: { code: 451, text: '4.7.1 Try again' } }, 'later'],
  ['a full mailbox', { rcpt: { code: 552, text: '5.2.2 Over quota' } }, 'later'],
  [
    'a daily quota at DATA (Gmail)',
    { data: { code: 550, text: '5.4.5 Daily sending quota exceeded' } },
    'later',
  ],
  ['a daily quota at RCPT', { rcpt: { code: 550, text: '5.4.5 Daily sending quota exceeded' } }, 'later'],
  ['a policy', { rcpt: { code: 554, text: '5.7.1 Denied' } }, 'later'],
  ['a spam verdict', { data: { code: 554, text: 'Looks like spam' } }, 'later'],
  ['a busy server', { data: { code: 421, text: '4.3.2 Shutting down' } }, 'later'],
  ['a sender refused', { from: { code: 550, text: '5.1.8 Bad sender' } }, 'later'],
  ['a sender of unknown mailbox', { from: { code: 550, text: '5.1.1 Not yours' } }, 'later'],
]

for (const [name, script, outcome] of answers) {
  test(`${name} means ${outcome}`, async (t) => {
    const server = await startScriptedServer(t, script)
    await withSender(`smtp://127.0.0.1:${server.port}`, async (sender) => {
      const result = await sender.send(mailTo('a@b.c'))
      assert.equal(result.outcome, outcome, JSON.stringify(result))
      assert.match(result.outcome === outcome ? result.reason : '', /^\S[^\n]*$/)
    })
  })
}

test('the bytes arrive unchanged, with their dots, over a few connections that are reused', async (t) => {
  let connections = 0
  const server = await startScriptedServer(
    t,
    {},
    {
      onConnect: (_session, callback) => {
        connections++
        callback()
      },
    },
  )
  await withSender(`smtp://127.0.0.1:${server.port}`, async (sender) => {
    assert.equal(sender.concurrency, 5)
    const texts = Array.from({ length: 40 }, (_, i) => `.${i}\r\n..\r\nFrom x`)
    const results = await Promise.all(texts.map((text) => sender.send(mailTo('a@b.c', text))))
    assert.ok(results.every(({ outcome }) => outcome === 'sent'))
    const sent = texts.map((text) => Buffer.from(mailTo('a@b.c', text).raw).toString())
    assert.deepEqual(server.received.toSorted(), sent.toSorted())
    assert.ok(connections <= 5, String(connections))
  })
})

test('an address that is not plain is never sent to the server', async () => {
  await withSender('smtp://127.0.0.1:1', async (sender) => {
    for (const to of ['a@b.c>\r\nRCPT TO:<d@e.f', 'a@b.c,d@e.f', '<a@b.c>', 'a b@c.d', '']) {
      assert.equal((await sender.send({ ...mailTo('x@y.z'), to: [to] })).outcome, 'refused', to)
    }
    assert.equal((await sender.send({ ...mailTo('x@y.z'), to: [] })).outcome, 'refused')
  })
})

test('a server that is gone or closes the connection means later', async (t) => {
  const first = await startScriptedServer(t, {})
  const url = `smtp://127.0.0.1:${first.port}`
  await withSender(url, async (sender) => {
    assert.equal((await sender.send(mailTo('a@b.c'))).outcome, 'sent')
    await first.stop()
    assert.equal((await sender.send(mailTo('a@b.c'))).outcome, 'later')
    const second = await startScriptedServer(t, {})
    await second.stop()
  })
  const hangsUp = await startScriptedServer(
    t,
    {},
    { onData: (_stream, session) => void dropConnection(hangsUp.server, session.id) },
  )
  await withSender(`smtp://127.0.0.1:${hangsUp.port}`, async (sender) => {
    assert.equal((await sender.send(mailTo('a@b.c'))).outcome, 'later')
  })
  await hangsUp.stop()
})

function dropConnection(server: SMTPServer, id: string): void {
  const { connections } = server as unknown as { connections: Set<{ id: string; close(): void }> }
  for (const connection of connections) if (connection.id === id) connection.close()
}

test('an idle connection that the server dropped causes no failure', async (t) => {
  const server = await startScriptedServer(t, {})
  await withSender(`smtp://127.0.0.1:${server.port}`, async (sender) => {
    assert.equal((await sender.send(mailTo('a@b.c', 'one'))).outcome, 'sent')
    const { connections } = server.server as unknown as { connections: Set<{ id: string }> }
    for (const { id } of connections) dropConnection(server.server, id)
    assert.equal((await sender.send(mailTo('a@b.c', 'two'))).outcome, 'sent')
    assert.equal(server.received.length, 2)
  })
})

test('after a change of network a dead idle connection delays no mail', async (t) => {
  const server = await startScriptedServer(t, {})
  const proxy = await startConnectionProxy({ port: server.port })
  t.after(() => proxy.stop())
  await withSender(`smtp://127.0.0.1:${proxy.port}`, async (sender) => {
    assert.equal((await sender.send(mailTo('a@b.c', 'one'))).outcome, 'sent')
    proxy.goDead('pass')
    sender.check?.()
    assert.equal((await sender.send(mailTo('a@b.c', 'two'))).outcome, 'sent')
    assert.equal(proxy.accepted(), 2)
  })
})

test('dropping all idle connections causes no failure', async (t) => {
  const server = await startScriptedServer(t, {})
  await withSender(`smtp://127.0.0.1:${server.port}`, async (sender) => {
    const sendFive = async () => {
      const results = await Promise.all(Array.from({ length: 5 }, () => sender.send(mailTo('a@b.c'))))
      assert.ok(results.every(({ outcome }) => outcome === 'sent'))
    }
    await sendFive()
    const { connections } = server.server as unknown as { connections: Set<{ id: string }> }
    for (const { id } of connections) dropConnection(server.server, id)
    await sendFive()
    assert.equal(server.received.length, 10)
  })
})

test('a connection is reused after a refused mail, and replaced after a hundred mails', async (t) => {
  let connections = 0
  const server = await startScriptedServer(
    t,
    {},
    {
      onConnect: (_session, callback) => {
        connections++
        callback()
      },
      onRcptTo: ({ address }, _session, callback) =>
        callback(
          address === 'a@b.c' ? null : Object.assign(new Error('5.1.1 No such'), { responseCode: 550 }),
        ),
    },
  )
  const sender = createSender(`smtp://127.0.0.1:${server.port}`, { clock, connections: 1 })
  for (let sent = 0; sent < 100; sent += 2) {
    assert.equal((await sender.send(mailTo('nobody@b.c'))).outcome, 'refused')
    assert.equal((await sender.send(mailTo('a@b.c'))).outcome, 'sent')
  }
  assert.equal(connections, 1)
  assert.equal((await sender.send(mailTo('a@b.c'))).outcome, 'sent')
  assert.equal(connections, 2)
  await sender.close()
})

test('an idle connection is closed, and the next mail opens another', async (t) => {
  let opened = 0
  const closed: Promise<void>[] = []
  const server = await startScriptedServer(
    t,
    {},
    {
      onConnect: (_session, callback) => {
        const { promise, resolve } = Promise.withResolvers<void>()
        closed[opened++] = promise
        ends.push(resolve)
        callback()
      },
      onClose: () => ends.shift()?.(),
    },
  )
  const ends: (() => void)[] = []
  const work = async (sender: MailSender) => {
    assert.equal((await sender.send(mailTo('a@b.c'))).outcome, 'sent')
    await closed[0]
    assert.equal((await sender.send(mailTo('a@b.c'))).outcome, 'sent')
    assert.equal(opened, 2)
  }
  await withSender(`smtp://127.0.0.1:${server.port}`, work, { idleMs: 20 })
})

test('a mail that waits for a connection has a time limit, too', async (t) => {
  const server = await startScriptedServer(t, {}, { onRcptTo: () => undefined })
  const work = (sender: MailSender) =>
    Promise.all(Array.from({ length: 8 }, () => sender.send(mailTo('a@b.c'))))
  const results = await withSender(`smtp://127.0.0.1:${server.port}`, work, { sendMs: 80 })
  assert.ok(results.every(({ outcome }) => outcome === 'later'))
})

test('a server that never answers is dropped after the time limit of a mail', async (t) => {
  const server = await startScriptedServer(t, {}, { onRcptTo: () => undefined })
  const send = (sender: MailSender) => sender.send(mailTo('a@b.c'))
  const result = await withSender(`smtp://127.0.0.1:${server.port}`, send, { sendMs: 80 })
  assert.deepEqual(result, { outcome: 'later', reason: 'the server took too long' })
})

async function verifyProblem(url: string): Promise<Problem> {
  const error = await withSender(url, (sender) => sender.verify()).then(
    () => assert.fail('it verified'),
    (thrown: unknown) => thrown,
  )
  assert.ok(error instanceof Problem, String(error))
  assert.ok(!error.line.includes('hunter2'), error.line)
  return error
}

test('verify reports a wrong password, a refused connection and an unknown host', async (t) => {
  const server = await startScriptedServer(t, {}, { allowInsecureAuth: true })
  await withSender(`smtp://u:right@127.0.0.1:${server.port}`, (sender) => sender.verify())
  assert.equal((await verifyProblem(`smtp://u:hunter2@127.0.0.1:${server.port}`)).code, 'mail-login')
  await server.stop()
  assert.equal((await verifyProblem('smtp://u:hunter2@127.0.0.1:1')).code, 'mail-connection')
  assert.equal((await verifyProblem('smtp://u:hunter2@no-such-host.invalid')).code, 'mail-connection')
  assert.throws(() => createSender('smtp://u@127.0.0.1', { clock }), Problem)
})

test('to loopback STARTTLS is used if offered, with any certificate', async (t) => {
  const secure: boolean[] = []
  const server = await startScriptedServer(
    t,
    {},
    {
      disabledCommands: [],
      onMailFrom: (_address, session, callback) => {
        secure.push(session.secure)
        callback()
      },
    },
  )
  const send = (sender: MailSender) => sender.send(mailTo('a@b.c'))
  assert.equal((await withSender(`smtp://u:right@127.0.0.1:${server.port}`, send)).outcome, 'sent')
  assert.deepEqual(secure, [true])
  const noTls = `smtp://127.0.0.1:${server.port}?tls=never`
  assert.equal((await withSender(noTls, send)).outcome, 'sent')
  assert.deepEqual(secure, [true, false])
})

test('TLS from the start needs a certificate that can be trusted', async (t) => {
  const server = await startScriptedServer(t, {}, { secure: true })
  assert.equal((await verifyProblem(`smtps://u:hunter2@127.0.0.1:${server.port}`)).code, 'mail-tls')
})

test('Postfix accepts a mail and refuses an unknown recipient, and a stopped Postfix means later', {
  skip,
}, async () => {
  await withSender(office.smtpUrl('bob'), async (sender) => {
    await sender.verify()
    assert.deepEqual(await sender.send(mailTo(office.address('ann'))), { outcome: 'sent' })
    const refused = await sender.send(mailTo(office.address(unknownUser)))
    assert.ok(refused.outcome === 'refused' && /User unknown/.test(refused.reason))
    await office.stopMta()
    assert.equal((await sender.send(mailTo(office.address('ann')))).outcome, 'later')
    await office.startMta()
    assert.deepEqual(await sender.send(mailTo(office.address('ann'))), { outcome: 'sent' })
  })
  const wrong = new URL(office.smtpUrl('bob'))
  wrong.password = 'hunter2'
  assert.equal((await verifyProblem(wrong.href)).code, 'mail-login')
})

test('to a server that is not on loopback no password is sent in clear text', async (t) => {
  // 0.0.0.0 does not count as loopback, but a server on loopback answers there.
  const { port } = await startScriptedServer(t, {}, { allowInsecureAuth: true })
  const problem = await verifyProblem(`smtp://u:hunter2@0.0.0.0:${port}`)
  assert.equal(problem.code, 'mail-tls')
  assert.match(problem.line, /not sent to it in clear.*tls=never/)
  await withSender(`smtp://u:right@0.0.0.0:${port}?tls=never`, (sender) => sender.verify())
})

test('a mail accepted for some recipients gives those to try again', async (t) => {
  const answers: Readonly<Record<string, Answer>> = {
    'full@b.c': { code: 452, text: '4.2.2 Over quota' },
    'gone@b.c': { code: 550, text: '5.1.1 User unknown' },
  }
  const server = await startScriptedServer(
    t,
    {},
    {
      onRcptTo: ({ address }, _session, callback) => {
        const answer = answers[address]
        callback(answer ? Object.assign(new Error(answer.text), { responseCode: answer.code }) : null)
      },
    },
  )
  await withSender(`smtp://127.0.0.1:${server.port}`, async (sender) => {
    const mail = mailTo('a@b.c')
    const to = ['a@b.c', 'full@b.c', 'gone@b.c']
    const result = await sender.send({ ...mail, to })
    assert.ok(result.outcome === 'partly')
    assert.deepEqual(result.again, ['full@b.c'])
    assert.match(result.reason, /quota/)
    assert.equal(server.received.length, 1)
    assert.deepEqual((await sender.send({ ...mail, to: ['a@b.c', 'gone@b.c'] })).outcome, 'partly')
  })
})
