// Sends a letter to our own address to test whether mail arrives, and how long it takes. No host or agent reads its subject.
// The letter is removed again. No other mail is touched.

import { toHex } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { domainOf } from '../../base/mail-address.ts'
import type { FetchedMail, Mailbox } from '../../mail/mailbox.ts'
import { mailToCompose, newMessageId } from '../../mail/mime/compose-mail.ts'
import { fieldValues, type HeaderField, parseHeader } from '../../mail/mime/parse-mail.ts'
import type { MailSender } from '../../mail/sender.ts'

/** Always the same subject: the next run finds and removes letters that came too late for this one. */
export const doctorSubject = 'peerpost doctor'

export type TestLetterResult =
  | {
      readonly outcome: 'arrived'
      readonly travelMs: number
      /** The times that servers wrote into the letter: Unix ms by their clocks. The last server comes first. */
      readonly serverTimes: readonly number[]
      /** Unix ms by our clock, before the letter was sent and after it was found. */
      readonly sentAt: number
      readonly foundAt: number
      readonly fields: readonly HeaderField[]
    }
  | { readonly outcome: 'not-taken'; readonly isFinal: boolean; readonly reason: string }
  | { readonly outcome: 'missing' }

export type TestLetterOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly address: string
  /** It must be open, and filter by `doctorSubject`. */
  readonly mailbox: Mailbox
  readonly announcements: MailAnnouncements
  readonly sender: MailSender
  /** How long the letter may take. */
  readonly limitMs: number
  /** Ends the waiting early. */
  readonly stopped: Promise<unknown>
}

/** Waits until the mailbox announces new mail. */
export class MailAnnouncements {
  #announced = Promise.withResolvers<void>()

  /** The `onWake` of the mailbox. */
  readonly note = (): void => {
    this.#announced.resolve()
    this.#announced = Promise.withResolvers()
  }

  /** Resolves at the next announcement. */
  next(): Promise<void> {
    return this.#announced.promise
  }
}

/** The interval between searches when the server does not announce mail. */
const searchIntervalMs = 1_000
const maxMails = 20
/** A test letter that is younger may belong to another doctor that still waits for it. It is not removed. */
const strayMs = 3_600_000

export async function sendTestLetter(options: TestLetterOptions): Promise<TestLetterResult> {
  const { clock, crypto, address, sender } = options
  const token = toHex(crypto.randomBytes(16))
  const [sentAt, startedAt] = [clock.wallNow(), clock.now()]
  const mail = mailToCompose({
    from: address,
    to: [address],
    subject: doctorSubject,
    date: sentAt,
    auto: 'generated',
    text: `peerpost doctor wrote this letter to itself to see how long mail takes.\nIt may be deleted.\n\n${markerOf(token)}\n`,
    messageId: newMessageId(crypto.randomBytes(16), domainOf(address)),
  })
  const taken = await sender.send(mail)
  if (taken.outcome !== 'sent') {
    return { outcome: 'not-taken', isFinal: taken.outcome === 'refused', reason: taken.reason }
  }
  const found = await find(options, token, startedAt + options.limitMs)
  if (!found) return { outcome: 'missing' }
  const { fields } = await parseHeader(found.raw ?? new Uint8Array())
  const travelMs = clock.now() - startedAt
  return {
    outcome: 'arrived',
    travelMs,
    serverTimes: receivedTimes(fields),
    sentAt,
    foundAt: clock.wallNow(),
    fields,
  }
}

/** Removes the test letters of any doctor. Returns whether there were some. */
export async function removeTestLetters(mailbox: Mailbox): Promise<boolean> {
  const mails = (await mailbox.fetch(maxMails)).filter((mail) => tokenOf(mail) !== null)
  await mailbox.remove(mails.map(({ ref }) => ref))
  return mails.length > 0
}

async function find(options: TestLetterOptions, token: string, until: number): Promise<FetchedMail | null> {
  const { clock, mailbox, announcements, stopped } = options
  let isStopped = false
  void stopped.then(() => {
    isStopped = true
  })
  while (!isStopped) {
    const announced = announcements.next()
    const mails = await mailbox.fetch(maxMails)
    const own = mails.find((mail) => tokenOf(mail) === token)
    const strays: FetchedMail[] = []
    for (const mail of mails) {
      if (tokenOf(mail) !== null && clock.wallNow() - (await dateOf(mail)) > strayMs) strays.push(mail)
    }
    await mailbox.remove([...strays, ...(own ? [own] : [])].map(({ ref }) => ref))
    if (own) return own
    const waitMs = Math.min(searchIntervalMs, until - clock.now())
    if (waitMs <= 0) return null
    let cancel = () => {}
    const pause = new Promise<void>((resolve) => {
      cancel = clock.after(waitMs, resolve)
    })
    await Promise.race([announced, pause, stopped])
    cancel()
  }
  return null
}

function markerOf(token: string): string {
  return `peerpost-doctor:${token}`
}

function tokenOf({ raw }: FetchedMail): string | null {
  const text = raw ? Buffer.from(raw).toString('latin1') : ''
  return /^peerpost-doctor:([0-9a-f]{32})\s*$/m.exec(text)?.[1] ?? null
}

/** Unix ms; 0 when the letter has no valid date. */
async function dateOf({ raw }: FetchedMail): Promise<number> {
  const { date } = await parseHeader(raw ?? new Uint8Array())
  return date ?? 0
}

/** The times that servers write after the last semicolon of a Received field (RFC 5321 §4.4). */
function receivedTimes(fields: readonly HeaderField[]): readonly number[] {
  return fieldValues(fields, 'received')
    .map((value) => Date.parse(value.slice(value.lastIndexOf(';') + 1).replace(/\([^)]*\)/g, '')))
    .filter((time) => !Number.isNaN(time))
}
