// The two mail servers: reached, trusted, logged in to; a letter to ourselves; the room that is left.

import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { limits } from '../../letter/limits.ts'
import { type AccessToken, connectWith, loginOf } from '../../mail/auth/credentials.ts'
import { connectImap, imapTiming } from '../../mail/imap/imap-connection.ts'
import type { ReceiveUrl, SendUrl } from '../../mail/mail-url.ts'
import { serverName } from '../../mail/mail-url.ts'
import type { Mailbox } from '../../mail/mailbox.ts'
import { createSender, openMailbox } from '../../mail/open-mailbox.ts'
import type { MailSender } from '../../mail/sender.ts'
import { tokenFor } from '../../setup/open-mail.ts'
import { count, seconds, sizeWords } from '../../wording/numbers-text.ts'
import { checkClock, type Tolerance } from './clock-check.ts'
import { type Finding, type FindingsList, fault, faultOf, ok, warning } from './findings.ts'
import { senderFinding } from './sender-authentication-check.ts'
import { doctorSubject, takeAway, writeToSelf } from './test-letter.ts'
import { dayOf, probeTls, type TlsFacts } from './tls-probe.ts'

export type MailTarget = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly address: string
  readonly receive: ReceiveUrl
  readonly send: SendUrl
  /** Where they are wanted instead of a password. */
  readonly tokens: AccessToken | undefined
  readonly tolerance: Tolerance
  /** The mail server whose word a host wants for each mail. */
  readonly trustedAuthservId: string | null
  readonly letterMs: number
  readonly stopped: Promise<unknown>
}

/** Certificates are renewed weeks before they end; so late, something is wrong. */
const soonMs = 14 * 86_400_000
/** Longer, and players notice. */
const slowMs = 30_000
/** Where mail goes that was thought to be none of ours. */
const otherFolders = ['INBOX', 'Junk', 'Spam', 'Junk E-mail', '[Gmail]/Spam', 'Trash']

export async function checkMail(patient: MailTarget, { tell, progress }: FindingsList): Promise<void> {
  const { receive, send, clock } = patient
  const notices: string[] = []
  progress('logging in where mail is received')
  const mailbox = await tried(tell, 'receive', async () => {
    const opened = openDoctorMailbox(patient, receive, (notice) => notices.push(notice))
    const facts = receive.protocol === 'maildir' ? null : await probeTls(receive, clock.wallNow())
    await opened.open()
    for (const finding of receiveFindings(receive, facts, clock.wallNow())) tell(finding)
    return opened
  })
  progress('logging in where mail is sent')
  const sender = await tried(tell, 'send', async () => {
    const facts = await probeTls(send, clock.wallNow())
    const opened = createSender(send, { clock, ...tokenFor(send, patient.tokens) })
    await opened.verify()
    tell(ok('send', `The SMTP server ${serverName(send)} lets us in${secureWords(facts)}.`))
    for (const finding of endFindings('send', facts, clock.wallNow())) tell(finding)
    return opened
  })
  try {
    if (mailbox && receive.protocol === 'imap') {
      progress('asking how much room the mailbox has')
      for (const finding of await quotaFindings(patient, receive)) tell(finding)
    }
    if (mailbox && sender) await examineLetter(patient, mailbox, sender, { tell, progress })
    for (const notice of notices) {
      tell(warning('receive', notice, 'It works so; a mailbox of its own for peerpost is tidier.'))
    }
  } finally {
    await mailbox?.close().catch(() => undefined)
    await sender?.close().catch(() => undefined)
  }
}

/** Null when it failed, which is told. */
async function tried<T>(
  tell: (finding: Finding) => void,
  check: 'receive' | 'send',
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work()
  } catch (thrown) {
    tell(faultOf(check, thrown))
    return null
  }
}

function openDoctorMailbox(
  { clock, address, tokens }: MailTarget,
  url: ReceiveUrl,
  notice: (line: string) => void = () => {},
): Mailbox {
  return openMailbox(
    url,
    { subject: doctorSubject, address, maxBytes: limits.mailBytes },
    { clock, notice, imap: { rescanMs: 900 }, maildirPollMs: 500, ...tokenFor(url, tokens) },
  )
}

function receiveFindings(url: ReceiveUrl, facts: TlsFacts | null, wallNow: number): readonly Finding[] {
  if (url.protocol === 'maildir') return [ok('receive', `The Maildir ${url.folder} can be read and changed.`)]
  const folder = url.protocol === 'imap' ? ` and opens ${url.folder}` : ''
  const name = url.protocol === 'mailpit' ? 'Mailpit' : url.protocol.toUpperCase()
  const good = ok(
    'receive',
    `The ${name} server ${serverName(url)} lets us in${folder}${secureWords(facts)}.`,
  )
  return [good, ...endFindings('receive', facts, wallNow)]
}

function secureWords(facts: TlsFacts | null): string {
  if (!facts) return ', in clear'
  return `, by ${facts.version}${facts.endsAt === null ? '' : `; its certificate ends on ${dayOf(facts.endsAt)}`}`
}

function endFindings(check: 'receive' | 'send', facts: TlsFacts | null, wallNow: number): readonly Finding[] {
  const leftMs = facts?.endsAt ? facts.endsAt - wallNow : Number.POSITIVE_INFINITY
  if (leftMs > soonMs) return []
  const when = leftMs < 0 ? 'has ended' : `ends in ${count(Math.floor(leftMs / 86_400_000), 'day')}`
  return [warning(check, `The certificate of that server ${when}.`, 'Have it renewed on the mail server.')]
}

async function quotaFindings({ clock, tokens }: MailTarget, url: ReceiveUrl): Promise<readonly Finding[]> {
  if (url.protocol !== 'imap') return []
  try {
    const events = { onExists: () => {}, onLost: () => {} }
    const connection = await connectWith(
      loginOf('IMAP', url, tokenFor(url, tokens).accessToken),
      (credentials) => connectImap(url, credentials, limits.mailBytes, imapTiming, events),
    )
    try {
      const room = await connection.quota()
      if (room === null) return []
      const used = Math.round((room.usedBytes * 100) / Math.max(1, room.limitBytes))
      const words = `The mailbox is ${used} % full (${sizeWords(room.usedBytes)} of ${sizeWords(room.limitBytes)}).`
      const remedy = 'Delete mail there, or have its limit raised: full mailboxes take no letters.'
      // A letter must fit in whatever is left.
      if (room.limitBytes - room.usedBytes < limits.mailBytes) return [fault('room', words, remedy)]
      return [used > 90 ? warning('room', words, remedy) : ok('room', words)]
    } finally {
      const cancel = clock.after(1_000, () => connection.destroy())
      await connection.logout().catch(() => undefined)
      cancel()
    }
  } catch (thrown) {
    return [faultOf('room', thrown)]
  }
}

async function examineLetter(
  patient: MailTarget,
  mailbox: Mailbox,
  sender: MailSender,
  { tell, progress }: FindingsList,
): Promise<void> {
  const { receive, send, address, letterMs, tolerance, trustedAuthservId, stopped } = patient
  progress('waiting for a letter to ourselves')
  try {
    const letter = await writeToSelf({ ...patient, mailbox, sender, limitMs: letterMs })
    if (letter.outcome === 'arrived') {
      tell(travelFinding(letter.travelMs))
      tell(checkClock(letter, tolerance))
      if (trustedAuthservId !== null) tell(senderFinding(letter.fields, trustedAuthservId, address))
    } else if (letter.outcome === 'not-taken') {
      const text = `The SMTP server ${serverName(send)} does not take a letter from ${address} to itself: ${letter.reason}.`
      const remedy = letter.isFinal
        ? 'Check `address`: the server knows no such mailbox, or does not let this login send from it.'
        : 'Look whether the mailbox is full or the provider limits sending; letters are tried again until then.'
      tell(fault('letter', text, remedy))
    } else if (!(await isOver(stopped))) {
      progress('looking for the letter in other folders')
      tell(await missingFinding(patient, receive))
    }
  } catch (thrown) {
    tell(faultOf('letter', thrown))
  }
}

function isOver(stopped: Promise<unknown>): Promise<boolean> {
  return Promise.race([stopped.then(() => true), Promise.resolve(false)])
}

function travelFinding(travelMs: number): Finding {
  const text = `A letter to ourselves took ${seconds(travelMs)}, and was removed again.`
  if (travelMs <= slowMs) return ok('letter', text)
  return warning(
    'letter',
    text,
    'Players wait two such ways before they meet: look in the Received lines which server holds mail up (greylisting passes after the first time).',
  )
}

async function missingFinding(patient: MailTarget, receive: ReceiveUrl): Promise<Finding> {
  const { address, letterMs } = patient
  const late = `A letter to ${address} did not arrive within ${seconds(letterMs)}`
  if (receive.protocol === 'imap') {
    for (const folder of otherFolders.filter((name) => name !== receive.folder)) {
      if (!(await takeFrom(patient, { ...receive, folder }))) continue
      return fault(
        'letter',
        `Letters to ${address} arrive in the folder ${folder}, not in ${receive.folder}.`,
        `Write ?folder=${encodeURIComponent(folder)} in receive, or mend the filter that puts them there.`,
      )
    }
  }
  return fault(
    'letter',
    `${late} where mail is received.`,
    'Check that `address` belongs to this mailbox, that it is not full, and what the mail servers’ logs or a bounce in the mailbox say.',
  )
}

async function takeFrom(patient: MailTarget, url: ReceiveUrl): Promise<boolean> {
  const mailbox = openDoctorMailbox(patient, url)
  try {
    await mailbox.open()
    return await takeAway(mailbox)
  } catch {
    // Most of these folders are nowhere.
    return false
  } finally {
    await mailbox.close().catch(() => undefined)
  }
}
