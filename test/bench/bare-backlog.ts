// The baseline of the backlog benchmark, with the same libraries and no code of ours: fetches all letters in
// batches, parses and deletes them, and sends mails over five connections. Options: BareBacklogOptions as JSON
// in the first argument.

import { simpleParser } from 'mailparser'
import { type BareAccount, bareImap, bareMail, barePool } from './bare-mail.ts'
import { emitToParent } from './child.ts'

export type BareBacklogOptions = {
  readonly account: BareAccount
  readonly subject: string
  readonly batchMails: number
  readonly replyBytes: number
  /** Sent beside the replies, evenly spread, to the same recipients. */
  readonly introductions: number
  readonly introductionBytes: number
}

const options = JSON.parse(process.argv[2] ?? '') as BareBacklogOptions
const { account, subject, batchMails, replyBytes, introductions, introductionBytes } = options
const pool = barePool(account)
const client = bareImap(account)
await Promise.all([client.connect(), pool.verify()])
await client.mailboxOpen('INBOX')

emitToParent({ event: 'ready' })
const from = performance.now()
const uids = await client.search({ subject }, { uid: true })
if (!Array.isArray(uids)) throw new Error('the server does not search')
const sending: Promise<unknown>[] = []
let fetched = 0
let introduced = 0

function send(to: string, sizeBytes: number): void {
  sending.push(pool.sendMail(bareMail(account.address, to, subject, sizeBytes)))
}

for (let at = 0; at < uids.length; at += batchMails) {
  const batch = uids.slice(at, at + batchMails).join(',')
  const mails = await client.fetchAll(batch, { uid: true, source: true }, { uid: true })
  for (const { source } of mails) {
    if (!source) continue
    const parsed = await simpleParser(source)
    const to = parsed.from?.value[0]?.address
    if (to === undefined || (parsed.text ?? '') === '') throw new Error('that is no request')
    send(to, replyBytes)
    fetched++
    for (; introduced < Math.floor((introductions * fetched) / uids.length); introduced++) {
      send(to, introductionBytes)
    }
  }
  await client.messageDelete(batch, { uid: true })
}
await Promise.all(sending)
const tookMs = performance.now() - from
const { user, system } = process.cpuUsage()
const cpuMs = (user + system) / 1_000

emitToParent({
  event: 'done',
  tookMs,
  fetched,
  sent: sending.length,
  rssBytes: process.memoryUsage.rss(),
  cpuMs,
})
pool.close()
await client.logout()
