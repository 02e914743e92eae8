// A letter to ourselves, under a subject of its own that no host or agent looks at: whether mail arrives, and how
// long that takes. It is removed again; nothing else in the mailbox is touched.

import { toHex } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { domainOf } from '../../base/mail-address.ts'
import type { FetchedMail, Mailbox } from '../../mail/mailbox.ts'
import { mailToCompose, newMessageId } from '../../mail/mime/compose-mail.ts'
import { fieldValues, type HeaderField, parseHeader } from '../../mail/mime/parse-mail.ts'
import type { MailSender } from '../../mail/sender.ts'

/** Exactly this, so that the next doctor finds, and removes, what came too late for this one. */
export const doctorSubject = 'peerpost doctor'

export type OwnLetter =
  | {
      readonly outcome: 'arrived'
      readonly travelMs: number
      /** Unix ms by the servers' clocks, as they wrote them into the letter; the first is the last server's. */
      readonly stamps: readonly number[]
      /** Unix ms by our clock, before it was sent and after it was found. */
      readonly sentAt: number
      readonly foundAt: number
      readonly fields: readonly HeaderField[]
    }
  | { readonly outcome: 'not-taken'; readonly isFinal: boolean; readonly reason: string }
  | { readonly outcome: 'missing' }

export type OwnLetterOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly address: string
  /** Open, and showing only mail under `doctorSubject`. */
  readonly mailbox: Mailbox
  readonly sender: MailSender
  /** How long it may take. */
  readonly limitMs: number
  /** Ends the waiting early. */
  readonly stopped: Promise<unknown>
}

/** Between two looks when nobody says that mail came. */
const lookMs = 1_000
const maxMails = 20
/** Letters of other doctors, who may still be waiting for them, are left alone for so long. */
const strayMs = 3_600_000

export async function writeToSelf(options: OwnLetterOptions): Promise<OwnLetter> {
  const { clock, crypto, address, sender } = options
  const token = toHex(crypto.randomBytes(16))
  const [sentAt, startedAt] = [clock.wallNow(), clock.now()]
  const mail = mailToCompose({
    from: address,
    to: [address],
    subject: doctorSubject,
    date: sentAt,
    auto: 'generated',
    text: `peerpost doctor wrote this letter to itself to see how long mail takes.\nIt may be deleted.\n\n${markOf(token)}\n`,
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
  return { outcome: 'arrived', travelMs, stamps: stampsOf(fields), sentAt, foundAt: clock.wallNow(), fields }
}

/** Looks once whether the letters of any doctor are here, and takes them away. */
export async function takeAway(mailbox: Mailbox): Promise<boolean> {
  const mails = (await mailbox.fetch(maxMails)).filter((mail) => tokenOf(mail) !== null)
  await mailbox.remove(mails.map(({ ref }) => ref))
  return mails.length > 0
}

async function find(options: OwnLetterOptions, token: string, until: number): Promise<FetchedMail | null> {
  const { clock, mailbox, stopped } = options
  let isOver = false
  void stopped.then(() => {
    isOver = true
  })
  while (!isOver) {
    const woken = new Promise<void>((resolve) => {
      mailbox.onWake = resolve
    })
    const mails = await mailbox.fetch(maxMails)
    const mine = mails.find((mail) => tokenOf(mail) === token)
    const strays: FetchedMail[] = []
    for (const mail of mails) {
      if (tokenOf(mail) !== null && clock.wallNow() - (await dateOf(mail)) > strayMs) strays.push(mail)
    }
    await mailbox.remove([...strays, ...(mine ? [mine] : [])].map(({ ref }) => ref))
    if (mine) return mine
    const restMs = Math.min(lookMs, until - clock.now())
    if (restMs <= 0) return null
    let cancel = () => {}
    const pause = new Promise<void>((resolve) => {
      cancel = clock.after(restMs, resolve)
    })
    await Promise.race([woken, pause, stopped])
    cancel()
  }
  return null
}

function markOf(token: string): string {
  return `peerpost-doctor:${token}`
}

function tokenOf({ raw }: FetchedMail): string | null {
  const text = raw ? Buffer.from(raw).toString('latin1') : ''
  return /^peerpost-doctor:([0-9a-f]{32})\s*$/m.exec(text)?.[1] ?? null
}

/** Unix ms; 0 where there is none that can be read. */
async function dateOf({ raw }: FetchedMail): Promise<number> {
  const { date } = await parseHeader(raw ?? new Uint8Array())
  return date ?? 0
}

/** What servers write behind the last semicolon of a Received field (RFC 5321 §4.4). */
function stampsOf(fields: readonly HeaderField[]): readonly number[] {
  return fieldValues(fields, 'received')
    .map((value) => Date.parse(value.slice(value.lastIndexOf(';') + 1).replace(/\([^)]*\)/g, '')))
    .filter((stamp) => !Number.isNaN(stamp))
}
