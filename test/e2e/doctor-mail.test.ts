// Set-ups with one thing wrong about their mail, before real Postfix and Dovecot: the doctor names it, and what to do.

import assert from 'node:assert/strict'
import { chmodSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { type Certificate, makeCertificate, startTlsProxy } from '../harness/certificates.ts'
import { deferIn } from '../harness/defer.ts'
import { freePorts } from '../harness/mail-servers-processes.ts'
import { lacks } from '../harness/needs.ts'
import { assertNamed, faultsOf, quotaBytes, runDoctor, Ward } from './doctor-ward.ts'

const skip = lacks('postfix', 'dovecot')
let ward: Ward

before(async () => {
  if (!skip) ward = await Ward.open()
})
after(async () => {
  if (!skip) await ward.close()
})

/** A host whose mail servers speak TLS from the start, with this certificate. */
async function behindTls(defer: (end: () => unknown) => void, certificate: Certificate) {
  const [imap, smtp] = await Promise.all([
    startTlsProxy(ward.mailServers.ports.imap, certificate),
    startTlsProxy(ward.mailServers.ports.smtp, certificate),
  ])
  defer(() => Promise.all([imap.close(), smtp.close()]))
  return ward
    .patient()
    .change(/^receive = .*$/m, `receive = "imaps://host%40mail.test@localhost:${imap.port}"`)
    .change(/^send = .*$/m, `send = "smtps://host%40mail.test@localhost:${smtp.port}"`)
}

/** So many days from now, as OpenSSL writes it. */
function stampIn(days: number): string {
  const at = new Date(Date.now() + days * 86_400_000).toISOString()
  return `${at.slice(0, 19).replace(/\D/g, '')}Z`
}

test('wrong password for receiving', { skip }, async () => {
  const patient = ward.patient()
  writeFileSync(patient.path('receive.password'), 'guess\n')
  assertNamed(
    await patient.examined(),
    'receive',
    /IMAP server .* does not let host@mail\.test in/,
    /password/,
  )
})

test('wrong password for sending', { skip }, async () => {
  const patient = ward.patient()
  writeFileSync(patient.path('send.password'), 'guess\n')
  assertNamed(await patient.examined(), 'send', /SMTP server .* does not let host@mail\.test in/, /password/)
})

test('a mail server that does not write the fields the host wants of it', { skip }, async () => {
  const patient = ward.patient().change('# trusted_authserv_id = ""', 'trusted_authserv_id = "mx.mail.test"')
  const findings = await patient.examined()
  const sender = findings.find(({ check }) => check === 'sender')
  assert.equal(sender?.outcome, 'warning')
  assert.match(sender.text, /without an Authentication-Results field of mx\.mail\.test/)
  assert.deepEqual(faultsOf(findings), [])
})

test('wrong port', { skip }, async () => {
  const [port = 0] = await freePorts(1)
  const patient = ward.patient().change(`:${ward.mailServers.ports.imap}`, `:${port}`)
  assertNamed(
    await patient.examined(),
    'receive',
    new RegExp(`127.0.0.1:${port} refuses the connection`),
    /port/,
  )
})

test('no TLS where TLS is asked for', { skip }, async () => {
  const patient = ward.patient().change('receive = "imap:', 'receive = "imaps:')
  assertNamed(await patient.examined(), 'receive', /does not speak TLS there/, /Write imap: without the s/)
})

test('certificate that nobody vouched for', { skip }, async (context) => {
  const certificate = makeCertificate(join(ward.folder, 'own'), stampIn(-1), stampIn(90))
  const patient = await behindTls(deferIn(context), certificate)
  assertNamed(await patient.examined(), 'receive', /self-signed/, /NODE_EXTRA_CA_CERTS/)
})

test('certificate that has ended', { skip }, async (context) => {
  const certificate = makeCertificate(join(ward.folder, 'old'), '20200101000000Z', '20210101000000Z')
  const patient = await behindTls(deferIn(context), certificate)
  const { code, findings, err } = await runDoctor(patient, ['--json'], {
    NODE_EXTRA_CA_CERTS: certificate.certificateFile,
  })
  assert.equal(code, 1)
  const [receive] = faultsOf(findings)
  assert.equal(receive?.check, 'receive')
  assert.match(receive?.text ?? '', /certificate that ended on 2021-01-01/)
  assert.match(receive?.remedy ?? '', /renewed/)
  assert.match(err, /^peerpost: The doctor found 2 faults\. Correct the first one/)
})

test('certificate that ends soon is warned of, and of a good one the end is told', {
  skip,
}, async (context) => {
  const defer = deferIn(context)
  const soon = makeCertificate(join(ward.folder, 'soon'), stampIn(-80), stampIn(9.5))
  const patient = await behindTls(defer, soon)
  const { code, findings } = await runDoctor(patient, ['--json'], {
    NODE_EXTRA_CA_CERTS: soon.certificateFile,
  })
  assert.equal(code, 0)
  const told = findings.find(({ check }) => check === 'receive')
  assert.match(told?.text ?? '', /by TLSv1\.[23]; its certificate ends on 20\d\d-\d\d-\d\d/)
  const warnings = findings.filter(({ outcome }) => outcome === 'warning')
  assert.deepEqual(
    warnings.map(({ check, text }) => [check, text]),
    [
      ['receive', 'The certificate of that server ends in 9 days.'],
      ['send', 'The certificate of that server ends in 9 days.'],
    ],
  )
})

test('name that leads nowhere', { skip }, async () => {
  const patient = ward.patient().change('@127.0.0.1:', '@imap.no-such-name.invalid:')
  assertNamed(
    await patient.examined(),
    'names',
    /no address for the name imap\.no-such-name\.invalid/,
    /written/,
  )
})

test('mail that never arrives', { skip }, async () => {
  const patient = ward.patient().change('address = "host@', 'address = "hsot@')
  ward.mailServers.maildirOf('hsot')
  assertNamed(
    await patient.examined(),
    'letter',
    /A letter to hsot@mail\.test did not arrive/,
    /`address` belongs/,
  )
})

test('address that does not exist', { skip }, async () => {
  const patient = ward.patient().change('address = "host@', 'address = "no-such-user@')
  assertNamed(await patient.examined(), 'letter', /does not take a letter .*User unknown/, /Check `address`/)
})

test('folder that does not exist', { skip }, async () => {
  const patient = ward
    .patient()
    .change(`:${ward.mailServers.ports.imap}"`, `:${ward.mailServers.ports.imap}?folder=Lettres"`)
  assertNamed(await patient.examined(), 'receive', /does not open the folder Lettres/, /\?folder=NAME/)
})

test('folder that letters do not arrive in', { skip }, async () => {
  for (const part of ['', 'cur', 'new', 'tmp']) {
    const place = join(ward.mailServers.maildirOf('host'), '.Letters', part)
    mkdirSync(place, { recursive: true })
    chmodSync(place, 0o777)
  }
  const before = ward.mailsOf('host').length
  const patient = ward
    .patient()
    .change(`:${ward.mailServers.ports.imap}"`, `:${ward.mailServers.ports.imap}?folder=Letters"`)
  assertNamed(
    await patient.examined(),
    'letter',
    /arrive in the folder INBOX, not in Letters/,
    /\?folder=INBOX/,
  )
  assert.equal(ward.mailsOf('host').length, before, 'the letter was taken away from there as well')
})

test('full mailbox', { skip }, async () => {
  ward.drop('full', quotaBytes - 20_000)
  const patient = ward
    .patient()
    .change(/host%40/g, 'full%40')
    .change('address = "host@', 'address = "full@')
  assertNamed(await patient.examined(), 'room', /The mailbox is 9\d % full/, /Delete mail/)
})
