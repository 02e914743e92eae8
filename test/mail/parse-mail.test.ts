import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { isOurs } from '../../src/mail/letter-mail-filter.ts'
import { headerEnd, parseHeader, parseMail } from '../../src/mail/mime/parse-mail.ts'

const limit = 262_144
const bytes = (text: string) => new Uint8Array(Buffer.from(text))
const readMail = async (raw: Uint8Array, maxBytes: number) => (await parseMail(raw, maxBytes)).content
const read = (text: string) => readMail(bytes(text), limit)

async function mailOf(text: string) {
  const reading = await read(text)
  assert.ok(reading.ok, text)
  return reading.mail
}

const block = '[peerpost letter begins]\nabcdefg\n[peerpost letter ends]'

test('a plain mail is read field by field', async () => {
  const mail = await mailOf(
    `From: "Ann, the \\"host\\"" <ann@example.org>\r\nTo: Bob <bob@example.org>,\r\n cy@example.org\r\nCc: d@example.org\r\n` +
      `Subject: data for\r\n network game client\r\nDate: Tue, 14 Nov 2023 22:13:20 +0000 (UTC)\r\n` +
      `Message-ID: <m1@example.org>\r\nIn-Reply-To: <m0@example.org>\r\n\r\n${block}\r\n`,
  )
  assert.deepEqual(
    { ...mail, text: mail.text.trim() },
    {
      from: 'ann@example.org',
      to: ['bob@example.org', 'cy@example.org', 'd@example.org'],
      subject: 'data for network game client',
      date: 1_700_000_000_000,
      messageId: '<m1@example.org>',
      inReplyTo: '<m0@example.org>',
      text: block,
    },
  )
})

test('quoted-printable, base64 and other charsets are decoded', async () => {
  const quoted = await mailOf(
    'From: a@b.c\nContent-Transfer-Encoding: quoted-printable\n\n[peerpost letter be=\ngins]=20x\n',
  )
  assert.match(quoted.text, /\[peerpost letter begins\] x/)
  const encoded = Buffer.from('gr\u00fc\u00df dich').toString('base64')
  const base64 = await mailOf(
    `From: a@b.c\nContent-Type: text/plain; charset=utf-8\nContent-Transfer-Encoding: base64\n\n${encoded}\n`,
  )
  assert.equal(base64.text.trim(), 'gr\u00fc\u00df dich')
})

test('the HTML part is used if only it has the block, or if there is no plain text', async () => {
  const html = block.replaceAll(' ', '&nbsp;').replaceAll('\n', '<br>')
  const only = await mailOf(`From: a@b.c\nContent-Type: text/html\n\n<style>p{}</style><p>Hi</p>${html}`)
  assert.match(only.text, /\[peerpost letter begins\]\nabcdefg\n/)
  const parts = (plain: string) =>
    `From: a@b.c\nContent-Type: multipart/alternative; boundary=b\n\n--b\n\n${plain}\n` +
    `--b\nContent-Type: text/html\n\n${html}\n--b--\n`
  assert.match((await mailOf(parts('Your program cannot show this.'))).text, /abcdefg/)
  const twin = await mailOf(parts(block))
  assert.equal(twin.text.match(/abcdefg/g)?.length, 1)
})

test('a mail without exactly one From field with one plain address is bad', async () => {
  const froms = [
    '',
    'From: a@b.c\nFrom: a@b.c\n',
    'From: a@b.c\nFROM : d@e.f\n',
    'From: a@b.c, d@e.f\n',
    'From: <a@b.c> <d@e.f>\n',
    'From: group: a@b.c;\n',
    'From: "a@b.c" <>\n',
    'From: a@b.c <d@e.f>\n',
    'From: \n',
    'From: a\n',
    'From: "unclosed <a@b.c>\n',
    'From: a@[127.0.0.1]\n',
    'From: "a b"@c.d\n',
    'From: a@b..c\n',
    'From: \u00e4@b.c\n',
  ]
  for (const from of froms) {
    assert.deepEqual(await read(`${from}To: x@y.z\n\n${block}`), { ok: false, refusal: 'bad-mail' }, from)
  }
  for (const from of [
    'a@b.c',
    '<a@b.c>',
    '"x, <y@z>" <a@b.c>',
    'A (note: <q@r>, s) <a@b.c>',
    '=?utf-8?q?=3Cx=40y=3E?= <a@b.c>',
  ]) {
    assert.equal((await mailOf(`From: ${from}\n\n${block}`)).from, 'a@b.c', from)
  }
})

test('limits are checked before anything is parsed', async () => {
  const big = new Uint8Array(limit + 1).fill(0x61)
  assert.deepEqual(await readMail(big, limit), { ok: false, refusal: 'too-big' })
  const endlessHeader = `From: a@b.c\nX: ${'y'.repeat(70_000)}\n\n${block}`
  assert.deepEqual(await read(endlessHeader), { ok: false, refusal: 'too-big' })
  const manyParts = `From: a@b.c\nContent-Type: multipart/mixed; boundary=b\n\n${'--b\n\nx\n'.repeat(100)}`
  assert.deepEqual(await read(manyParts), { ok: false, refusal: 'bad-mail' })
  const nested = `From: a@b.c\n${'Content-Type: multipart/mixed; boundary=b\n\n--b\n'.repeat(200)}\nx`
  assert.equal((await read(nested)).ok, false)
})

test('a mail without text is bad', async () => {
  assert.deepEqual(await read('From: a@b.c\n\n \n'), { ok: false, refusal: 'bad-mail' })
  assert.deepEqual(await read('From: a@b.c\nContent-Type: application/pdf\n\nJVBERi0='), {
    ok: false,
    refusal: 'bad-mail',
  })
})

test('a missing or invalid date is null', async () => {
  assert.equal((await mailOf(`From: a@b.c\n\n${block}`)).date, null)
  assert.equal((await mailOf(`From: a@b.c\nDate: yesterday\n\n${block}`)).date, null)
})

const template =
  'From: "Ann" <ann@example.org>\r\nTo: bob@example.org\r\nSubject: =?utf-8?B?w6TDtsO8?= game\r\n' +
  'Date: Tue, 14 Nov 2023 22:13:20 +0000\r\nMIME-Version: 1.0\r\nContent-Type: multipart/alternative; boundary="b"\r\n\r\n' +
  `--b\r\nContent-Type: text/plain; charset=iso-8859-1; format=flowed\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n${block}=E4\r\n` +
  '--b\r\nContent-Type: text/html\r\n\r\n<p>hi &amp; <b>bye</b></p>\r\n--b\r\nContent-Type: message/rfc822\r\n\r\nFrom: c@d.e\r\n\r\nx\r\n--b--\r\n'

test('random and changed mails always give a result', async () => {
  const random = fc.uint8Array({ maxLength: 2_000 })
  const mutated = fc
    .array(fc.tuple(fc.nat(template.length), fc.nat(20), fc.uint8Array({ maxLength: 20 })), { maxLength: 8 })
    .map((edits) => {
      let mail = Buffer.from(template)
      for (const [at, cut, insert] of edits) {
        mail = Buffer.concat([mail.subarray(0, at), insert, mail.subarray(at + cut)])
      }
      return new Uint8Array(mail)
    })
  const lines = fc
    .array(
      fc.constantFrom(
        'From: a@b.c',
        'Content-Type: multipart/mixed; boundary=b',
        'Content-Type: text/plain; charset=utf-7',
        'Content-Type: text/html; charset=iso-2022-jp',
        'Content-Transfer-Encoding: base64',
        '--b',
        '--b--',
        '',
        'Content-Type: message/rfc822',
        'Content-Disposition: inline',
        '=?utf-8?Q?=00?=',
        '\x1b$B',
        '&#x110000;',
        'begin 644 x',
        "Content-Type: text/plain; charset=x-none; name*0*=utf-8''%FF",
        '<!--',
        '<a',
        '+AGE-',
        '=',
      ),
      { maxLength: 25 },
    )
    .map((all) => bytes(['From: a@b.c', ...all].join('\r\n')))
  await fc.assert(
    fc.asyncProperty(fc.oneof(random, mutated, lines), async (raw) => {
      const reading = await readMail(raw, limit)
      if (reading.ok) assert.equal(typeof reading.mail.text, 'string')
      else assert.match(reading.refusal, /^(?:bad-mail|too-big)$/)
      isOurs(await parseHeader(raw), { subject: 'x', address: 'a@b.c', maxBytes: 1 })
    }),
    { numRuns: 1_500 },
  )
})

test('the header ends at the first empty line', () => {
  assert.equal(headerEnd(bytes('A: b\r\n\r\nbody')), 6)
  assert.equal(headerEnd(bytes('A: b\n\nbody')), 5)
  assert.equal(headerEnd(bytes('A: b\r\n \r\nC: d\r\n\r\n')), 15)
  assert.equal(headerEnd(bytes('A: b')), 4)
  assert.equal(headerEnd(new Uint8Array(70_000).fill(0x61)), null)
})

test('encoded words of a subject are decoded, with any charset', async () => {
  const subjectOf = async (value: string) => (await parseHeader(bytes(`Subject: ${value}\n\n`))).subject
  assert.equal(await subjectOf('=?utf-8?B?w6Q=?= =?iso-8859-1?q?=FC_x?= y'), '\u00e4\u00fc x y')
  assert.equal(await subjectOf('=?no-such-set?Q?a?='), 'a')
  assert.equal(await subjectOf('=?utf-8?Q?=FF?='), '\ufffd')
})

test('a mail is ours only with exactly our subject and our address as recipient', async () => {
  const filter = { subject: 'data for network game client', address: 'Host@Example.org', maxBytes: 1 }
  const ours = async (head: string) =>
    isOurs(await parseHeader(bytes(`${head}\n\nbody\nTo: host@example.org`)), filter)
  const subject = 'Subject: data for network game client'
  assert.ok(await ours(`To: host@example.org\n${subject}`))
  assert.ok(await ours(`To: "Host, x" <HOST@example.org>\n${subject}`))
  assert.ok(await ours(`cc: a@b.c, host@example.org\n${subject}`))
  assert.ok(await ours(`To: list@b.c\nDelivered-To: host@example.org\n${subject}`))
  assert.ok(await ours('To: host@example.org\nSubject: data for\n network   game client'))
  assert.ok(
    await ours('To: host@example.org\nSubject: =?utf-8?q?data_for?=\n =?utf-8?q?_network_game_client?='),
  )
  assert.ok(!(await ours(`To: ghost@example.org\n${subject}`)))
  assert.ok(!(await ours(`To: host@example.org.evil\n${subject}`)))
  assert.ok(!(await ours(`To: "host@example.org" <a@b.c>\n${subject}`)))
  assert.ok(!(await ours(`To: a@b.c (host@example.org)\n${subject}`)))
  assert.ok(!(await ours(`${subject}`)))
  assert.ok(!(await ours('To: host@example.org\nSubject: Re: data for network game client')))
  assert.ok(!(await ours(`To: host@example.org\n${subject}\n${subject}`)))
})

test('HTML becomes text without scripts, styles and unknown entities', async () => {
  const textOf = async (html: string) =>
    (await mailOf(`From: a@b.c\nContent-Type: text/html\n\n${html}`)).text
  assert.equal((await textOf('a<br>b<script>x<y</SCRIPT>c&#65;&bogus;')).trim(), 'a\nbcA&bogus;')
  assert.equal((await textOf('a<!-- > -->b<unclosed')).trim(), 'ab')
})
