// A scripted IMAP server on loopback. By default everybody can log in to an empty mailbox.

import { once } from 'node:events'
import { type AddressInfo, createServer, type Socket } from 'node:net'

export type ImapScript = {
  /** Replaces the usual greeting. */
  readonly greeting?: (connection: number) => string | null
  /**
   * Lines of the answer to a command, where `TAG` stands for its tag; null for the usual answer. `close` ends
   * the connection.
   */
  readonly answer?: (verb: string, connection: number) => readonly string[] | null
}

export type ScriptedImap = {
  readonly url: string
  readonly connections: () => number
  /** Sends a line on all open connections, and closes them if requested. */
  say(line: string, then?: 'close'): void
  stop(): Promise<void>
}

const capabilities = 'IMAP4rev1 IDLE UIDPLUS'
const usual: Readonly<Record<string, readonly string[]>> = {
  CAPABILITY: [`* CAPABILITY ${capabilities}`, 'TAG OK done'],
  LIST: ['* LIST () "/" INBOX', 'TAG OK done'],
  SELECT: [
    '* 0 EXISTS',
    '* FLAGS (\\Seen \\Deleted)',
    '* OK [PERMANENTFLAGS (\\Seen \\Deleted)] ok',
    '* OK [UIDVALIDITY 1] ok',
    '* OK [UIDNEXT 1] ok',
    'TAG OK [READ-WRITE] done',
  ],
  'UID SEARCH': ['* SEARCH', 'TAG OK done'],
  IDLE: ['+ idling'],
  LOGOUT: ['* BYE see you', 'TAG OK done', 'close'],
}

export async function startScriptedImap(script: ImapScript): Promise<ScriptedImap> {
  const sockets = new Set<Socket>()
  let connections = 0
  const server = createServer((socket) => {
    const connection = ++connections
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    socket.write(`${script.greeting?.(connection) ?? `* OK [CAPABILITY ${capabilities}] ready`}\r\n`)
    let rest = ''
    let idleTag = ''
    socket.setEncoding('latin1').on('data', (chunk: string) => {
      const lines = (rest + chunk).split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        const [tag = '', first = '', second = ''] = line.split(' ')
        const verb = first.toUpperCase() === 'UID' ? `UID ${second.toUpperCase()}` : first.toUpperCase()
        if (verb === 'IDLE') idleTag = tag
        const isDone = line.toUpperCase() === 'DONE'
        const answers = isDone
          ? [`${idleTag} OK done`]
          : (script.answer?.(verb, connection) ?? usual[verb] ?? ['TAG OK done'])
        for (const answer of answers) {
          if (answer === 'close') socket.end()
          else socket.write(`${answer.replace('TAG', tag)}\r\n`)
        }
      }
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `imap://ann:secret@127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    say(line, then) {
      for (const socket of sockets) {
        socket.write(`${line}\r\n`)
        if (then === 'close') socket.end()
      }
    },
    async stop() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}
