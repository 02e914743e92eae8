// An SMTP server on loopback that accepts every mail, or answers as a test decides.

import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import { SMTPServer } from 'smtp-server'

export type SinkMail = { readonly to: string; readonly text: string }

export type SmtpSink = {
  readonly port: number
  readonly url: string
  /** Every mail that was received completely, also if it was refused or not answered. */
  readonly mails: SinkMail[]
  /** Open connections. */
  readonly connections: number
  repliesTo(address: string): readonly string[]
  stop(): Promise<void>
}

/**
 * What happens to a received mail: it is accepted, the connection is closed before the answer, or it gets its
 * own answer.
 */
export type SinkVerdict = 'take' | 'hang up' | SinkAnswer

export type SinkAnswer = { readonly code: number; readonly text: string }

/** Answers to earlier commands; null lets them pass. With `login` everybody must log in. */
export type SinkDoors = {
  readonly login?: (user: string, password: string) => SinkAnswer | null
  readonly from?: (address: string) => SinkAnswer | null
  readonly to?: (address: string) => SinkAnswer | null
  /** Answer to the command DATA. */
  readonly data?: () => SinkAnswer | null
}

export async function startSmtpSink(
  judge: (mail: SinkMail) => SinkVerdict = () => 'take',
  { login, from, to, data }: SinkDoors = {},
): Promise<SmtpSink> {
  const mails: SinkMail[] = []
  const server = new SMTPServer({
    authOptional: login === undefined,
    disabledCommands: login ? ['STARTTLS'] : ['STARTTLS', 'AUTH'],
    allowInsecureAuth: true,
    disableReverseLookup: true,
    closeTimeout: 100,
    onConnect: (session, callback) => {
      for (const connection of server.connections)
        if (connection.id === session.id) guardData(connection, data)
      callback()
    },
    onAuth: ({ username, password }, _session, callback) => {
      const refusal = errorOf(login?.(username ?? '', password ?? ''))
      if (refusal) callback(refusal)
      else callback(null, { user: username })
    },
    onMailFrom: ({ address }, _session, callback) => callback(errorOf(from?.(address))),
    onRcptTo: ({ address }, _session, callback) => callback(errorOf(to?.(address))),
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
        if (verdict !== 'hang up') return callback(errorOf(verdict))
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

function errorOf(answer: SinkAnswer | null | undefined): Error | null {
  return answer ? Object.assign(new Error(answer.text), { responseCode: answer.code }) : null
}

type DataHandler = (command: Buffer, callback: () => void) => void

/** smtp-server has no callback for the command DATA. */
function guardData(connection: object, data: SinkDoors['data']): void {
  const guarded = connection as { handler_DATA: DataHandler; send(code: number, text: string): void }
  const pass = guarded.handler_DATA.bind(connection)
  guarded.handler_DATA = (command, callback) => {
    const refusal = data?.()
    if (!refusal) return pass(command, callback)
    guarded.send(refusal.code, refusal.text)
    callback()
  }
}
