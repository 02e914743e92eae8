// Checks the two mail servers: connection, TLS and login. Then sends a letter to our own address and checks the quota.

import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { limits } from '../../letter/limits.ts'
import { type AccessToken, connectWith, loginOf } from '../../mail/auth/credentials.ts'
import { connectImap, imapTiming } from '../../mail/imap/imap-connection.ts'
import type { ReceiveUrl, SendUrl } from '../../mail/mail-url.ts'
import { serverName } from '../../mail/mail-url.ts'
import type { Mailbox } from '../../mail/mailbox.ts'
import { createSender, openMailbox } from '../../mail/open-mailbox.ts'
import { tokenFor } from '../../setup/open-mail.ts'
import { count, seconds, sizeWords } from '../../wording/numbers-text.ts'
import { checkClock, type Tolerance } from './clock-check.ts'
import { type Finding, type FindingsPrinter, fault, faultOf, ok, warning } from './findings.ts'
import { senderFinding } from './sender-authentication-check.ts'
import {
  doctorSubject,
  MailAnnouncements,
  removeTestLetters,
  sendTestLetter,
  type TestLetterOptions,
} from './test-letter.ts'
import { dayOf, probeTls, type TlsFacts } from './tls-probe.ts'

export type MailTarget = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly address: string
  readonly receive: ReceiveUrl
  readonly send: SendUrl
  /** For servers that use OAuth 2.0 instead of a password. */
  readonly tokens: AccessToken | undefined
  readonly tolerance: Tolerance
  /** The mail server whose Authentication-Results fields a host requires. Null: none. */
  readonly trustedAuthservId: string | null
  readonly letterMs: number
  readonly stopped: Promise<unknown>
}

/** Certificates are renewed weeks before they end. So a shorter rest is suspicious. */
const soonMs = 14 * 86_400_000
/** Players notice a longer travel time. */
const slowMs = 30_000
/** The folders into which filters move mail. */
const otherFolders = ['INBOX', 'Junk', 'Spam', 'Junk E-mail', '[Gmail]/Spam', 'Trash']

export async function checkMail(target: MailTarget, { print, progress }: FindingsPrinter): Promise<void> {
  const { receive, send, clock } = target
  const notices: string[] = []
  const announcements = new MailAnnouncements()
  progress('logging in where mail is received')
  const mailbox = await attempt(print, 'receive', async () => {
    const opened = openDoctorMailbox(target, receive, (notice) => notices.push(notice))
    const facts = receive.protocol === 'maildir' ? null : await probeTls(receive, clock.wallNow())
    await opened.open({ onWake: announcements.note })
    for (const finding of receiveFindings(receive, facts, clock.wallNow())) print(finding)
    return opened
  })
  progress('logging in where mail is sent')
  const sender = await attempt(print, 'send', async () => {
    const facts = await probeTls(send, clock.wallNow())
    const opened = createSender(send, { clock, ...tokenFor(send, target.tokens) })
    await opened.verify()
    print(ok('send', `The SMTP server ${serverName(send)} lets us in${secureWords(facts)}.`))
    for (const finding of endFindings('send', facts, clock.wallNow())) print(finding)
    return opened
  })
  try {
    if (mailbox && receive.protocol === 'imap') {
      progress('reading the quota of the mailbox')
      for (const finding of await quotaFindings(target, receive)) print(finding)
    }
    if (mailbox && sender) await checkLetter(target, { mailbox, announcements, sender }, { print, progress })
    for (const notice of notices) {
      print(warning('receive', notice, 'It works, but a separate mailbox for peerpost is better.'))
    }
  } finally {
    await mailbox?.close().catch(() => undefined)
    await sender?.close().catch(() => undefined)
  }
}

/** Null when the work failed. Then a fault is printed. */
async function attempt<T>(
  print: (finding: Finding) => void,
  check: 'receive' | 'send',
  work: () => Promise<T>,
): Promise<T | null> {
  try {
    return await work()
  } catch (thrown) {
    print(faultOf(check, thrown))
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
  if (!facts) return ', without TLS'
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
      const remedy = 'Delete mail there, or have its limit raised: a full mailbox accepts no letters.'
      // There must be room for one letter.
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

async function checkLetter(
  target: MailTarget,
  mail: Pick<TestLetterOptions, 'mailbox' | 'announcements' | 'sender'>,
  { print, progress }: FindingsPrinter,
): Promise<void> {
  const { receive, send, address, letterMs, tolerance, trustedAuthservId, stopped } = target
  progress('waiting for a letter to ourselves')
  try {
    const letter = await sendTestLetter({ ...target, ...mail, limitMs: letterMs })
    if (letter.outcome === 'arrived') {
      print(travelFinding(letter.travelMs))
      print(checkClock(letter, tolerance))
      if (trustedAuthservId !== null) print(senderFinding(letter.fields, trustedAuthservId, address))
    } else if (letter.outcome === 'not-taken') {
      const text = `The SMTP server ${serverName(send)} does not take a letter from ${address} to itself: ${letter.reason}.`
      const remedy = letter.isFinal
        ? 'Check `address`: the server knows no such mailbox, or does not let this login send from it.'
        : 'Check whether the mailbox is full, or the provider limits sending. Letters are sent again until it works.'
      print(fault('letter', text, remedy))
    } else if (!(await isOver(stopped))) {
      progress('looking for the letter in other folders')
      print(await missingFinding(target, receive))
    }
  } catch (thrown) {
    print(faultOf('letter', thrown))
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
    'Players wait twice this time before they meet. The Received lines show which server delays mail (greylisting delays only the first mail).',
  )
}

async function missingFinding(target: MailTarget, receive: ReceiveUrl): Promise<Finding> {
  const { address, letterMs } = target
  const late = `A letter to ${address} did not arrive within ${seconds(letterMs)}`
  if (receive.protocol === 'imap') {
    for (const folder of otherFolders.filter((name) => name !== receive.folder)) {
      if (!(await removeFromFolder(target, { ...receive, folder }))) continue
      return fault(
        'letter',
        `Letters to ${address} arrive in the folder ${folder}, not in ${receive.folder}.`,
        `Write ?folder=${encodeURIComponent(folder)} in receive, or correct the filter that puts them there.`,
      )
    }
  }
  return fault(
    'letter',
    `${late} where mail is received.`,
    'Check that `address` belongs to this mailbox, that it is not full, and what the mail servers’ logs or a bounce in the mailbox say.',
  )
}

async function removeFromFolder(target: MailTarget, url: ReceiveUrl): Promise<boolean> {
  const mailbox = openDoctorMailbox(target, url)
  try {
    await mailbox.open()
    return await removeTestLetters(mailbox)
  } catch {
    // Most mailboxes have only some of these folders.
    return false
  } finally {
    await mailbox.close().catch(() => undefined)
  }
}
