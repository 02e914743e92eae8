import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Problem } from '../../src/base/problem.ts'
import {
  composeMail,
  deserializeMail,
  type MailContent,
  newMessageId,
  serializeMail,
} from '../../src/mail/mime/compose-mail.ts'
import { parseMail } from '../../src/mail/mime/parse-mail.ts'

const request: MailContent = {
  from: 'ann@example.org',
  to: ['host@example.net'],
  subject: 'data for network game client',
  text: 'A note.\n\n[peerpost letter begins]\nabc\n.\nFrom here\n[peerpost letter ends]\n',
  messageId: '<00112233445566778899aabbccddeeff@example.org>',
  date: 1_700_000_000_999,
  auto: 'generated',
}

test('a request has exactly these bytes', async () => {
  const expected = [
    'Auto-Submitted: auto-generated',
    'From: ann@example.org',
    'To: host@example.net',
    'Subject: data for network game client',
    'Message-ID: <00112233445566778899aabbccddeeff@example.org>',
    'Date: Tue, 14 Nov 2023 22:13:20 +0000',
    'Content-Transfer-Encoding: 7bit',
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=utf-8',
    '',
    'A note.',
    '',
    '[peerpost letter begins]',
    'abc',
    '.',
    'From here',
    '[peerpost letter ends]',
    '',
  ].join('\r\n')
  assert.equal(Buffer.from(await composeMail(request)).toString(), expected)
})

test('a reply refers to the request and suppresses auto-responses', async () => {
  const reply = await composeMail({
    ...request,
    auto: 'replied',
    inReplyTo: '<r@example.net>',
    references: ['<r@example.net>'],
  })
  const text = Buffer.from(reply).toString()
  assert.match(text, /^Auto-Submitted: auto-replied\r\nX-Auto-Response-Suppress: All\r\n/)
  assert.match(text, /\r\nIn-Reply-To: <r@example\.net>\r\nReferences: <r@example\.net>\r\n/)
})

test('a composed mail is read as it was written, and the same input gives the same bytes', async () => {
  const word = fc.stringMatching(/^[a-z0-9]{1,20}$/)
  const line = fc.stringMatching(/^[ -~]{0,64}$/)
  await fc.assert(
    fc.asyncProperty(
      word,
      word,
      fc.array(line, { maxLength: 30 }),
      fc.nat(4_000_000),
      async (a, b, lines, seconds) => {
        const content = {
          ...request,
          from: `${a}@example.org`,
          to: [`${b}@example.net`],
          subject: `game \u00e4 ${a}`,
          text: `x${lines.join('\n')}\n`,
          date: seconds * 1000,
        }
        const raw = await composeMail(content)
        assert.deepEqual(await composeMail(deserializeMail(serializeMail(content)).content), raw)
        assert.ok(!/[^\r]\n|\r[^\n]|[^\r\n -~\t]/.test(Buffer.from(raw).toString('latin1')))
        const { content: reading } = await parseMail(raw, 100_000)
        assert.ok(reading.ok)
        const { mail } = reading
        assert.deepEqual(
          [mail.from, mail.to, mail.subject, mail.date],
          [content.from, content.to, content.subject, content.date],
        )
        assert.equal(mail.messageId, content.messageId)
        assert.equal(mail.text.trimEnd(), content.text.trimEnd())
      },
    ),
    { numRuns: 100 },
  )
})

test('a value that could add a header field or a recipient is refused', async () => {
  const wrong: Partial<MailContent>[] = [
    { from: 'ann@example.org\r\nBcc: x@y.z' },
    { to: ['a@b.c, d@e.f'] },
    { to: ['a@b.c\n'] },
    { to: ['<a@b.c>'] },
    { to: [] },
    { subject: 'x\r\nBcc: y@z.w' },
    { messageId: '<a@b>\r\nX: y' },
    { inReplyTo: 'a@b' },
    { references: ['<a@b> <c@d>'] },
    { text: 'gr\u00fc\u00df' },
    { text: 'x'.repeat(77) },
    { text: 'x\r\ny' },
    { date: Number.NaN },
  ]
  for (const part of wrong) {
    const isInternal = (error: unknown) => {
      assert.ok(error instanceof Problem, JSON.stringify(part))
      return error.code === 'internal'
    }
    assert.throws(() => serializeMail({ ...request, ...part }), isInternal)
    await assert.rejects(composeMail({ ...request, ...part }), isInternal)
  }
})

test('a Message-ID needs enough random bytes and a plain domain', () => {
  assert.equal(newMessageId(new Uint8Array(16).fill(171), 'b.c'), `<${'ab'.repeat(16)}@b.c>`)
  assert.throws(() => newMessageId(new Uint8Array(8), 'b.c'), Problem)
  assert.throws(() => newMessageId(new Uint8Array(16), 'b.c>\r\nX: y'), Problem)
})
