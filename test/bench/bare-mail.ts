// The baseline's mail: imapflow and nodemailer and nothing of ours, set up as fast as they go.

import { ImapFlow } from 'imapflow'
import { createTransport } from 'nodemailer'

/** What the fields of a mail of ours take, about. */
const headerBytes = 500

/** In URLs as the post office gives them. */
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
    // The default waits 15 s.
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

/** A mail of about this size, for nodemailer to compose, as the host has it composed. */
export function bareMail(from: string, to: string, subject: string, sizeBytes: number) {
  const line = `${'x'.repeat(64)}\n`
  const missing = Math.max(0, sizeBytes - headerBytes)
  const text = line.repeat(Math.floor(missing / (line.length + 1)))
  return { envelope: { from, to: [to] }, from, to, subject, text }
}

/** Calls back with each new mail of the inbox, one after the other, and deletes it afterwards. */
export async function watchInbox(client: ImapFlow, onMail: (source: Buffer) => Promise<void>): Promise<void> {
  await client.connect()
  const inbox = await client.mailboxOpen('INBOX')
  let next = inbox.uidNext
  let announced = false
  let looking = false
  const look = async () => {
    looking = true
    while (announced) {
      announced = false
      const mails = await client.fetchAll(`${next}:*`, { uid: true, source: true }, { uid: true })
      for (const { uid, source } of mails) {
        if (uid < next || !source) continue
        next = uid + 1
        await onMail(source)
        await client.messageDelete(String(uid), { uid: true })
      }
    }
    looking = false
  }
  client.on('exists', () => {
    announced = true
    if (!looking) void look()
  })
}
