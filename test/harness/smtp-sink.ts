// An SMTP server on loopback that takes every mail, or does with it what a test says.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'

export type SinkMail = { readonly to: string; readonly text: string }

export type SmtpSink = {
  readonly port: number
  readonly url: string
  /** Every mail whose bytes came in whole, also those that were answered otherwise or not at all. */
  readonly mails: SinkMail[]
  /** Connections open now. */
  readonly connections: number
  repliesTo(address: string): readonly string[]
  stop(): Promise<void>
}

/** What becomes of a mail whose bytes have come: taken, the connection lost before the answer, or an answer of its own. */
export type SinkVerdict = 'take' | 'hang up' | { readonly code: number; readonly text: string }

export async function startSmtpSink(
  judge: (mail: SinkMail) => SinkVerdict = () => 'take',
): Promise<SmtpSink> {
  const mails: SinkMail[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS', 'AUTH'],
    disableReverseLookup: true,
    closeTimeout: 100,
    onData: (stream, session, callback) => {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        const mail = {
          to: session.envelope.rcptTo[0]?.address ?? '',
          text: Buffer.concat(chunks).toString('latin1'),
        }
        mails.push(mail)
        const verdict = judge(mail)
        if (verdict === 'take') return callback()
        if (verdict !== 'hang up')
          return callback(Object.assign(new Error(verdict.text), { responseCode: verdict.code }))
        for (const connection of server.connections) if (connection.id === session.id) connection.close()
      })
    },
  })
  server.on('error', () => undefined)
  const listener = server.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  return {
    port,
    url: `smtp://127.0.0.1:${port}`,
    mails,
    get connections() {
      return server.connections.size
    },
    repliesTo: (address) =>
      mails.flatMap(({ to, text }) => (to === address && /^In-Reply-To: /m.test(text) ? [text] : [])),
    stop: () => new Promise<void>((resolve) => server.close(() => resolve())),
  }
}
