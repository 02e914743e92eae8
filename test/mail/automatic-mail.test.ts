import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Automatic, automaticKind } from '../../src/mail/mime/automatic-mail.ts'
import { readDeliveryReport } from '../../src/mail/mime/bounce-report.ts'
import { composeMail } from '../../src/mail/mime/compose-mail.ts'
import { parseHeader } from '../../src/mail/mime/parse-mail.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text))
const kindOf = async (head: string) =>
  automaticKind(await parseHeader(bytes(`${head}\nTo: host@mail.test\n\nx`)))

const heads: readonly (readonly [name: string, head: string, kind: Automatic | null])[] = [
  ['a person', 'From: ann@mail.test', null],
  ['a person whose program says no', 'From: ann@mail.test\nAuto-Submitted: no', null],
  ['a request of an agent', 'From: ann@mail.test\nAuto-Submitted: auto-generated', null],
  ['a request whose field has a comment', 'From: a@b.c\nAuto-Submitted: auto-generated (game)', null],
  [
    'a request that a server asks not to answer by hand',
    'From: a@b.c\nAuto-Submitted: auto-generated\nX-Auto-Response-Suppress: DR, OOF, AutoReply',
    null,
  ],
  ['mail of high precedence', 'From: ann@mail.test\nPrecedence: first-class', null],
  ['a mail with a return path', 'Return-Path: <ann@mail.test>\nFrom: ann@mail.test', null],
  ['a letter of a host', 'From: host@b.c\nAuto-Submitted: auto-replied', 'auto-reply'],
  ['a vacation notice (RFC 5230)', 'From: a@b.c\nAuto-Submitted: auto-replied (vacation)', 'auto-reply'],
  ['a notice (RFC 5436)', 'From: a@b.c\nAuto-Submitted: auto-notified; owner-email="a@b.c"', 'auto-reply'],
  ['an unknown keyword', 'From: a@b.c\nAuto-Submitted: auto-imagined', 'auto-reply'],
  [
    'one of two declarations',
    'From: a@b.c\nAuto-Submitted: auto-generated\nAuto-Submitted: auto-replied',
    'auto-reply',
  ],
  ['an old auto-responder', 'From: a@b.c\nX-Autoreply: yes', 'auto-reply'],
  ['a responder of cPanel', 'From: a@b.c\nX-Autorespond: data for network game client', 'auto-reply'],
  ['precedence auto_reply', 'From: a@b.c\nPrecedence: auto_reply', 'list'],
  ['bulk', 'From: a@b.c\nPrecedence: bulk', 'list'],
  ['junk in capitals', 'From: a@b.c\nPRECEDENCE: Junk', 'list'],
  ['a list (RFC 2919)', 'From: a@b.c\nList-Id: Games <games.b.c>', 'list'],
  ['a newsletter', 'From: a@b.c\nList-Unsubscribe: <mailto:x@b.c>', 'list'],
  ['an old list', 'From: a@b.c\nMailing-List: contact x@b.c', 'list'],
  ['a bounce by its empty return path', 'Return-Path: <>\nFrom: a@b.c', 'bounce'],
  [
    'a bounce by its content type',
    'From: a@b.c\nContent-Type: multipart/report; report-type=delivery-status',
    'bounce',
  ],
  ['a bounce by its sender', 'From: Mail Delivery System <MAILER-DAEMON@b.c>', 'bounce'],
  ['a bounce of Exchange', 'From: <MicrosoftExchange329e71ec88ae4615bbc36ab6ce41109e@b.c>', 'bounce'],
  ['a list server', 'From: games-request@b.c', 'bounce'],
]

for (const [name, head, kind] of heads) {
  test(`${name} is ${kind === null ? 'no automatic mail' : `recognised as ${kind}`}`, async () => {
    assert.equal(await kindOf(head), kind)
  })
}

test('mails of agents may be answered, mails of hosts may not', async () => {
  const content = {
    from: 'a@b.c',
    to: ['host@mail.test'],
    subject: 's',
    text: 'x\n',
    messageId: '<0123456789abcdef@b.c>',
    date: 0,
  }
  const ofAgent = await composeMail({ ...content, auto: 'generated' })
  const ofHost = await composeMail({ ...content, auto: 'replied' })
  assert.equal(automaticKind(await parseHeader(ofAgent)), null)
  assert.equal(automaticKind(await parseHeader(ofHost)), 'auto-reply')
})

// Bounces in the form of these programs.
const reports: readonly (readonly [name: string, text: string, isFinal: boolean])[] = [
  [
    'Postfix',
    'From: MAILER-DAEMON@b.c\n\n--x\n\nThis is the mail system at host b.c.\n\n<gone@b.c>: unknown user\n\n--x\n' +
      'Content-Type: message/delivery-status\n\nFinal-Recipient: rfc822; gone@b.c\nOriginal-Recipient: rfc822;gone@b.c\n' +
      'Action: failed\nStatus: 5.1.1\n\n--x\nContent-Type: message/rfc822\n\nFrom: host@mail.test\nTo: gone@b.c\n' +
      'Message-ID: <mark@mail.test>\n\nbody\n--x--\n',
    true,
  ],
  [
    'Exim',
    'X-Failed-Recipients: gone@b.c\nFrom: Mail Delivery System <Mailer-Daemon@b.c>\n\nA message that you sent could not be ' +
      'delivered.\n\n------ This is a copy of the message, including all the headers. ------\n\nMessage-Id: <mark@mail.test>\n',
    true,
  ],
  [
    'qmail',
    'From: MAILER-DAEMON@b.c\n\nHi. This is the qmail-send program at b.c.\n<gone@b.c>:\nno mailbox here by that name.\n\n' +
      '--- Below this line is a copy of the message.\n\nTo: gone@b.c\nMessage-ID:\n <mark@mail.test>\n',
    true,
  ],
  [
    'a program that quotes',
    'From: postmaster@b.c\n\n> To: <gone@b.c>\n> Message-ID: <mark@mail.test>\n',
    true,
  ],
  [
    'a warning about a delay',
    'From: MAILER-DAEMON@b.c\n\n--x\nFinal-Recipient: rfc822; gone@b.c\nAction: delayed\nStatus: 4.4.1\n\n--x\n' +
      'Message-ID: <mark@mail.test>\n',
    false,
  ],
]

for (const [name, text, isFinal] of reports) {
  test(`a bounce of ${name} gives the mail, the recipient, and that it ${isFinal ? 'is' : 'is not'} final`, () => {
    const report = readDeliveryReport(bytes(text.replaceAll('\n', '\r\n')))
    assert.ok(report.messageIds.includes('<mark@mail.test>'))
    assert.ok(report.recipients.includes('gone@b.c'))
    assert.equal(report.isFinal, isFinal)
  })
}

test('a bounce of any length gives a limited number of mails and recipients', () => {
  const many = `${'Message-ID: <a@b.c>\nTo: a@b.c, d@e.f\n'.repeat(20_000)}`
  const report = readDeliveryReport(bytes(many))
  assert.ok(report.messageIds.length <= 8 && report.recipients.length <= 16)
  assert.deepEqual(readDeliveryReport(new Uint8Array(1_000).fill(0)).messageIds, [])
  assert.deepEqual(readDeliveryReport(bytes(`${'Message-ID: '.repeat(6_000)}`)).messageIds, [])
})
