// Mail of the baseline: imapflow and nodemailer at full speed, without code of ours.

import { ImapFlow } from 'imapflow'
import { createTransport } from 'nodemailer'

/** Approximate size of our header fields. */
const headerBytes = 500

/** An account with the URLs of the test's mail servers. */
export type BareAccount = { readonly address: string; readonly imapUrl: string; readonly smtpUrl: string }

export function bareImap({ imapUrl }: BareAccount): ImapFlow {
  const { hostname, port, username, password } = new URL(imapUrl)
  const client = new ImapFlow({
    host: hostname,
    port: Number(port),
    secure: false,
    doSTARTTLS: false,
    auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
    logger: false,
    // imapflow's default is 15 s.
    autoIdleDelay: 1,
    disableCompression: true,
  })
  client.on('error', (error) => {
    throw error
  })
  return client
}

export function barePool({ smtpUrl }: BareAccount) {
  const { hostname, port, username, password } = new URL(smtpUrl)
  return createTransport({
    pool: true,
    maxConnections: 5,
    maxMessages: Number.POSITIVE_INFINITY,
    host: hostname,
    port: Number(port),
    secure: false,
    ignoreTLS: true,
    allowInternalNetworkInterfaces: true,
    auth: { user: decodeURIComponent(username), pass: decodeURIComponent(password) },
  })
}

/** A mail of about this size, which nodemailer composes as it does for the host. */
export function bareMail(from: string, to: string, subject: string, sizeBytes: number) {
  const line = `${'x'.repeat(64)}\n`
  const missing = Math.max(0, sizeBytes - headerBytes)
  const text = line.repeat(Math.floor(missing / (line.length + 1)))
  return { envelope: { from, to: [to] }, from, to, subject, text }
}

/** Calls `onMail` for each new mail of the inbox, one after the other, and deletes the mail afterwards. */
export async function watchInbox(client: ImapFlow, onMail: (source: Buffer) => Promise<void>): Promise<void> {
  await client.connect()
  const inbox = await client.mailboxOpen('INBOX')
  let next = inbox.uidNext
  let hasNew = false
  let isFetching = false
  const fetchNew = async () => {
    isFetching = true
    while (hasNew) {
      hasNew = false
      const mails = await client.fetchAll(`${next}:*`, { uid: true, source: true }, { uid: true })
      for (const { uid, source } of mails) {
        if (uid < next || !source) continue
        next = uid + 1
        await onMail(source)
        await client.messageDelete(String(uid), { uid: true })
      }
    }
    isFetching = false
  }
  client.on('exists', () => {
    hasNew = true
    if (!isFetching) void fetchNew()
  })
}
