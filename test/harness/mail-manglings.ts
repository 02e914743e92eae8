// What mail systems do to a letter in transit, as functions that can be combined: `textManglings` change the
// text, `mailForms` are ways to send a text, `relays` change a complete mail. docs/protocol.md lists them by
// name.

/** Changes a text with LF line ends. */
export type TextMangling = (text: string) => string
/**
 * Creates the header fields of the form, an empty line, and the body. CRLF line ends; latin1, so that a
 * character is a byte.
 */
export type MailForm = (text: string) => string
export type Relay = (mail: string) => string

const every = (count: number, mark: string) => (text: string) =>
  text.replace(new RegExp(`.{${count}}`, 'gu'), `$&${mark}`)

export const textManglings: Readonly<Record<string, TextMangling>> = {
  'lines ended by CR LF': (text) => text.replaceAll('\n', '\r\n'),
  'lines filled to 72 characters': (text) => text.replaceAll('\n', ' ').replace(/.{72}/g, '$&\n'),
  'lines broken after 40 characters': every(40, '\n'),
  'all in one line': (text) => text.replaceAll('\n', ' '),
  'a line broken by sendmail after 990 characters': (text) =>
    text.replaceAll('\n', '').replace(/.{990}/g, '$&!\n '),
  'words parted at line ends': every(30, '-\n'),
  'double line ends': (text) => text.replaceAll('\n', '\n\n'),
  'trailing spaces': (text) => text.replace(/$/gm, '   '),
  indentation: (text) => text.replace(/^/gm, '\t  '),
  'quoting by >': (text) => text.replace(/^/gm, '> '),
  'quoting by >, three deep and filled': (text) =>
    text.replace(/^/gm, '>>> ').replaceAll('\n', ' ').replace(/.{76}/g, '$&\n> '),
  'quoting by a bar': (text) => text.replace(/^/gm, '| '),
  capitals: (text) => text.toUpperCase(),
  'lower case': (text) => text.toLowerCase(),
  'a capital at each beginning of a line': (text) => text.replace(/^./gm, (first) => first.toUpperCase()),
  'no-break spaces': (text) => text.replaceAll(' ', '\u00a0'),
  'zero-width spaces': every(12, '\u200b'),
  'soft hyphens': every(12, '\u00ad'),
  'a byte order mark': (text) => `\ufeff${text}`,
  'marks of writing direction': (text) => text.replace(/^.*$/gm, '\u202a$&\u202c'),
  'dots doubled and left so': (text) => text.replace(/^\./gm, '..'),
  'stars for bold': (text) => text.replace(/^(.+)$/gm, '*$1*'),
  'a list footer': (text) => `${text}\n_______________\nGames mailing list\nhttps://lists.example.org/\n`,
  'a signature': (text) => `${text}-- \nAnna\nSent from my telephone\n`,
  'a warning above it': (text) => `[EXTERNAL] Do not open links.\n\n${text}`,
  'a scanner’s mark below it': (text) => `${text}\nVirus-free. www.example.org\n`,
  'forwarding inline': (text) =>
    `See below.\n\n---------- Forwarded message ---------\nFrom: Anna <a@example.org>\nSubject: data\n\n${text}`,
  'an answer above the quoted letter': (text) =>
    `What is this?\n\nAm Montag schrieb Anna:\n${text.replace(/^/gm, '> ')}`,
  'other scripts around it': (text) => `こんにちは\n${text}\nПривет 👋🏽\n`,
}

const crlf = (text: string) => text.replace(/\r?\n/g, '\r\n')
const bytesOf = (text: string) => Buffer.from(text, 'utf8').toString('latin1')
const folded = (base64: string) => base64.replace(/.{76}/g, '$&\r\n')

function part(type: string, encoding: string, body: string): string {
  return `Content-Type: ${type}\r\nContent-Transfer-Encoding: ${encoding}\r\n\r\n${body}`
}

function quotedPrintable(text: string): string {
  return [...Buffer.from(crlf(text), 'utf8').toString('latin1').split('\r\n')]
    .map((line) =>
      line
        .replace(
          /[^ -<>-~]| $/g,
          (byte) => `=${byte.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`,
        )
        .replace(/(?:=..|[^=]){68}/g, '$&=\r\n'),
    )
    .join('\r\n')
}

function base64(bytes: Buffer): string {
  return folded(bytes.toString('base64'))
}

const utf16be = (text: string) => Buffer.from(text, 'utf16le').swap16()

function html(text: string, lineEnd: string): string {
  const escaped = text.replaceAll('&', '&amp;').replaceAll('<', '&lt;').replaceAll('>', '&gt;')
  return `<html><head><style>p { color: #123 }</style></head><body><p>${escaped.replace(/\r?\n/g, lineEnd)}</p></body></html>`
}

function multipart(subtype: string, ...parts: readonly string[]): string {
  const body = parts.map((one) => `--=_b0\r\n${one}\r\n`).join('')
  return `Content-Type: multipart/${subtype}; boundary="=_b0"\r\n\r\nThis is a multipart message.\r\n${body}--=_b0--\r\n`
}

const plain = (text: string) => part('text/plain; charset=utf-8', '8bit', bytesOf(crlf(text)))

/** Keeps ASCII and characters that the charset has; replaces all others. */
const ascii = (text: string) => crlf(text).replace(/[^\t\r\n -~]/gu, '?')

export const mailForms: Readonly<Record<string, MailForm>> = {
  '8bit text': plain,
  'text without any MIME field': (text) => `\r\n${bytesOf(crlf(text))}`,
  'lines ended by LF alone': (text) => plain(text).replaceAll('\r\n', '\n'),
  'quoted-printable': (text) => part('text/plain; charset=utf-8', 'quoted-printable', quotedPrintable(text)),
  'quoted-printable in small letters': (text) =>
    part(
      'text/plain; charset=utf-8',
      'quoted-printable',
      quotedPrintable(text).replace(/=[0-9A-F]{2}/g, (code) => code.toLowerCase()),
    ),
  base64: (text) => part('text/plain; charset=utf-8', 'base64', base64(Buffer.from(text, 'utf8'))),
  'base64 in one line': (text) =>
    part('text/plain; charset=utf-8', 'BASE64', Buffer.from(text, 'utf8').toString('base64')),
  'format=flowed': (text) =>
    part(
      'text/plain; charset=utf-8; format=flowed',
      '8bit',
      bytesOf(crlf(text.replace(/^(?=[ >]|From )/gm, ' ').replace(/(.)\n(?=[a-z2-7])/g, '$1 \n'))),
    ),
  'format=flowed with delsp': (text) =>
    part(
      'text/plain; charset=utf-8; format=flowed; delsp=yes',
      '8bit',
      bytesOf(crlf(text.replace(/^(?=[ >]|From )/gm, ' ').replace(/.{60}/g, '$& \n'))),
    ),
  'UTF-16 with a byte order mark': (text) =>
    part('text/plain; charset=utf-16', 'base64', base64(Buffer.from(`\ufeff${text}`, 'utf16le'))),
  'UTF-16BE': (text) => part('text/plain; charset=UTF-16BE', 'base64', base64(utf16be(text))),
  'ISO-2022-JP': (text) =>
    part(
      'text/plain; charset=ISO-2022-JP',
      '7bit',
      `\x1b$B$3$s\x1b(B\r\n${ascii(text)}\r\n\x1b$B$3$s\x1b(B\r\n`,
    ),
  Shift_JIS: (text) => part('text/plain; charset=Shift_JIS', '8bit', `\x82\xb1\x82\xf1\r\n${ascii(text)}`),
  'EUC-KR': (text) => part('text/plain; charset=euc-kr', '8bit', `\xb0\xa1\r\n${ascii(text)}`),
  GB18030: (text) => part('text/plain; charset=gb18030', '8bit', `\xc4\xe3\r\n${ascii(text)}`),
  'windows-1252': (text) => part('text/plain; charset=windows-1252', '8bit', `\x93x\x94\r\n${ascii(text)}`),
  'KOI8-R': (text) => part('text/plain; charset=KOI8-R', '8bit', `\xf0\xd2\r\n${ascii(text)}`),
  'UTF-7': (text) => part('text/plain; charset=utf-7', '7bit', ascii(text).replaceAll('+', '+-')),
  'a charset nobody knows': (text) => part('text/plain; charset=x-unknown', '8bit', bytesOf(crlf(text))),
  'US-ASCII that is none': (text) => part('text/plain; charset=us-ascii', '7bit', bytesOf(crlf(text))),
  'HTML alone': (text) => part('text/html; charset=utf-8', '8bit', bytesOf(html(text, '<br>\r\n'))),
  'HTML alone, preformatted': (text) =>
    part('text/html; charset=utf-8', 'quoted-printable', quotedPrintable(`<pre>${html(text, '\n')}</pre>`)),
  'HTML alone with a paragraph a line and entities': (text) =>
    part(
      'text/html; charset=utf-8',
      'base64',
      base64(
        Buffer.from(
          html(text, '</p>\r\n<p class="x">')
            .replaceAll('[', '&#91;')
            .replaceAll(']', '&rbrack;')
            .replaceAll(' letter ', '&nbsp;<b>letter</b>&ZeroWidthSpace;&#x20;'),
          'utf8',
        ),
      ),
    ),
  'text and HTML': (text) =>
    multipart('alternative', plain(text), part('text/html', '7bit', html(ascii(text), '<br>\r\n'))),
  'HTML beside a text that says nothing': (text) =>
    multipart(
      'alternative',
      plain('Your program cannot show this.'),
      part('text/html; charset=utf-8', '8bit', bytesOf(html(text, '<br>\r\n'))),
    ),
  'text with a footer in a part of its own': (text) =>
    multipart('mixed', plain(text), part('text/plain; charset=us-ascii', '7bit', 'Games mailing list\r\n')),
  'text with a picture': (text) =>
    multipart('mixed', plain(text), part('image/png; name=logo.png', 'base64', 'iVBORw0KGgo=')),
  'a signed mail (S/MIME)': (text) =>
    multipart(
      'signed; protocol="application/pkcs7-signature"; micalg=sha-256',
      plain(text),
      part('application/pkcs7-signature; name=smime.p7s', 'base64', 'MIAGCSqGSIb3DQEHAqCAMIACAQExDTAL'),
    ),
  'forwarding as an attachment': (text) =>
    multipart(
      'mixed',
      plain('See the mail attached.'),
      `Content-Type: message/rfc822\r\nContent-Disposition: attachment; filename=data.eml\r\n\r\nFrom: a@example.org\r\nSubject: data\r\nMIME-Version: 1.0\r\n${plain(text)}`,
    ),
  'forwarding as an attachment, twice': (text) =>
    `Content-Type: message/rfc822\r\n\r\nFrom: b@example.org\r\nMIME-Version: 1.0\r\n${multipart('mixed', `Content-Type: message/rfc822\r\n\r\nFrom: a@example.org\r\nMIME-Version: 1.0\r\n${plain(text)}`)}`,
  'a text file attached': (text) =>
    multipart(
      'mixed',
      plain('See the file attached.'),
      `Content-Disposition: attachment; filename=letter.txt\r\n${part('text/plain; charset=utf-8; name=letter.txt', 'base64', base64(Buffer.from(text, 'utf8')))}`,
    ),
}

export const relays: Readonly<Record<string, Relay>> = {
  'as it is': (mail) => mail,
  'twenty servers on the way': (mail) =>
    `${'Received: from a.example.org (a.example.org [192.0.2.1])\r\n\tby b.example.org with ESMTPS id x; Tue, 24 Nov 2026 06:00:00 +0000\r\n'.repeat(20)}${mail}`,
  'a relay that signs (DKIM, ARC)': (mail) =>
    `DKIM-Signature: v=1; a=rsa-sha256; c=relaxed/relaxed; d=example.org; s=x;\r\n\th=from:to:subject; bh=${'A'.repeat(43)}=;\r\n\tb=${'B'.repeat(300)}\r\nARC-Seal: i=1; a=rsa-sha256; cv=none; b=x\r\nAuthentication-Results: example.org; dkim=pass\r\n${mail}`,
  'a scanner that adds its verdict': (mail) =>
    `X-Spam-Flag: NO\r\nX-Spam-Report: ${'* 0.0 SOMETHING\r\n\t'.repeat(40)}\r\n${mail}`,
  'a gateway that knows LF only': (mail) => mail.replaceAll('\r\n', '\n'),
}
