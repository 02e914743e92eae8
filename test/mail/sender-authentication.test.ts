import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseHeader } from '../../src/mail/mime/parse-mail.ts'
import { checkSender, type SenderCheck } from '../../src/mail/mime/sender-authentication.ts'

const border = 'mx.example.org'
const from = 'ann@mail.example.net'
const inside =
  'Received: from mx.example.org (mx.example.org [192.0.2.7])\r\n\tby store.example.org with LMTP id 1'
const atBorder =
  'Received: from out.example.net (out.example.net [198.51.100.1]) by mx.example.org (Postfix) with ESMTPS'
const atSender = 'Received: from laptop by out.example.net with ESMTPSA; Tue, 24 Nov 2026 12:00:00 +0000'
const results = (text: string, id = border) => `Authentication-Results: ${id}; ${text}`
const valid = results('dmarc=pass header.from=mail.example.net')

async function check(...lines: readonly string[]): Promise<SenderCheck> {
  const head = [...lines, `From: <${from}>`, 'Subject: x', '', 'text'].join('\r\n')
  return checkSender((await parseHeader(new TextEncoder().encode(head))).fields, border, from)
}

const cases: readonly (readonly [name: string, expected: SenderCheck, ...lines: string[]])[] = [
  ['dmarc by the receiving server', 'passes', inside, atBorder, valid, atSender],
  ['a field above the receiving server’s own Received', 'passes', valid, atBorder, atSender],
  ['a name in capitals', 'passes', atBorder, results('dmarc=pass', 'MX.Example.ORG')],
  ['dkim of the same domain', 'passes', atBorder, results('dkim=pass header.d=mail.example.net')],
  ['dkim of a domain above it', 'passes', atBorder, results('dkim=pass header.i=@example.net')],
  ['spf of the same domain', 'passes', atBorder, results('spf=pass smtp.mailfrom=bounce@mail.example.net')],
  [
    'a second result that passes',
    'passes',
    atBorder,
    results('dkim=fail header.d=mail.example.net; dmarc=pass'),
  ],
  [
    'servers inside without names',
    'passes',
    'Received: by 2002:a05:7300:b47 with SMTP id 1',
    atBorder,
    valid,
  ],
  ['fields of other servers above', 'passes', atBorder, results('dmarc=fail', 'scanner.example.org'), valid],
  ['no field at all', 'none', inside, atBorder, atSender],
  ['a field of another server', 'none', atBorder, results('dmarc=pass', 'mx.example.com')],
  ['a name that begins like ours', 'none', atBorder, results('dmarc=pass', 'mx.example.org.evil.example')],
  ['a field beneath another server', 'none', atBorder, atSender, valid],
  ['a field that cannot be read, with a good one beneath', 'none', atBorder, results('dmarc=pass )'), valid],
  ['dmarc that failed', 'fails', atBorder, results('dmarc=fail header.from=mail.example.net')],
  ['a failure above a forged success', 'fails', atBorder, results('dmarc=fail'), valid],
  ['no result, above a forged success', 'fails', atBorder, results('none'), valid],
  ['dmarc of another From', 'fails', atBorder, results('dmarc=pass header.from=evil.example')],
  ['dkim of another domain', 'fails', atBorder, results('dkim=pass header.d=evil.example')],
  ['dkim of a domain beneath it', 'fails', atBorder, results('dkim=pass header.d=x.mail.example.net')],
  ['dkim of a whole top-level domain', 'fails', atBorder, results('dkim=pass header.d=net')],
  ['dkim without a domain', 'fails', atBorder, results('dkim=pass')],
  ['spf of the greeting alone', 'fails', atBorder, results('spf=pass smtp.helo=mail.example.net')],
  ['an unknown method', 'fails', atBorder, results('auth=pass smtp.auth=ann@mail.example.net')],
  ['a pass inside a comment', 'fails', atBorder, results('dmarc=fail (dmarc=pass)')],
]

for (const [name, expected, ...lines] of cases) {
  test(`${name}: ${expected}`, async () => assert.equal(await check(...lines), expected))
}

test('fields below that of the receiving server change nothing', async () => {
  const line = fc.oneof(
    fc.constantFrom(valid, results('dmarc=pass'), results('dmarc=fail'), atSender, atBorder, inside),
    fc.string({ maxLength: 60 }).map((text) => `X-Any: ${text.replace(/[\r\n]/g, '')}`),
  )
  const own = fc.constantFrom(valid, results('dmarc=fail'), results('none'), results('dmarc=pass )'))
  await fc.assert(
    fc.asyncProperty(own, fc.array(line, { maxLength: 8 }), async (written, forged) => {
      assert.equal(await check(inside, atBorder, written, ...forged), await check(inside, atBorder, written))
    }),
  )
})

test('no header makes the check throw', async () => {
  await fc.assert(
    fc.asyncProperty(fc.string({ maxLength: 3_000 }), async (text) => {
      const { fields } = await parseHeader(
        new TextEncoder().encode(`Received: ${text}\r\nAuthentication-Results: ${text}\r\n\r\n`),
      )
      assert.notEqual(checkSender(fields, border, from), 'passes')
    }),
  )
})
