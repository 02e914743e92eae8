// A scripted POP3 server: for locked mailboxes, logins that come too soon, and servers that lie or stall.

import { once } from 'node:events'
import { createServer, type Socket } from 'node:net'

export type Pop3Script = {
  /** Lines of CAPA; null when the command is unknown. */
  capabilities?: readonly string[] | null
  /** Mails by their IDs, oldest first. */
  mails: Map<string, string>
  /** Replaces the answer to a command; null for no answer, undefined for the usual one. */
  answer?: (command: string) => string | null | undefined
}

export type ScriptedPop3 = {
  readonly port: number
  readonly script: Pop3Script
  /** All received commands, including passwords; a login starts with `connect`. */
  readonly commands: string[]
  stop(): Promise<void>
}

export async function startScriptedPop3(changes: Partial<Pop3Script> = {}): Promise<ScriptedPop3> {
  const script: Pop3Script = { mails: new Map(), ...changes }
  const commands: string[] = []
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => undefined)
    commands.push('connect')
    serve(socket, script, commands)
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    port: (server.address() as { port: number }).port,
    script,
    commands,
    async stop() {
      for (const socket of sockets) socket.destroy()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

function serve(socket: Socket, script: Pop3Script, commands: string[]): void {
  const uids = [...script.mails.keys()]
  const marked = new Set<string>()
  const many = (lines: readonly string[]) => ['+OK', ...lines, '.'].join('\r\n')
  const stuffed = (text: string) => text.split('\r\n').map((line) => line.replace(/^\./, '..'))
  const usual = (command: string): string => {
    const [name, number = '', lines] = command.split(' ')
    const uid = uids[Number(number) - 1] ?? ''
    const mail = script.mails.get(uid)
    switch (name) {
      case 'CAPA': {
        const { capabilities = ['USER', 'UIDL', 'TOP', 'PIPELINING'] } = script
        return capabilities === null ? '-ERR unknown command' : many(capabilities)
      }
      case 'STAT':
        return `+OK ${uids.length} ${[...script.mails.values()].join('').length}`
      case 'UIDL':
        return many(uids.map((id, i) => `${i + 1} ${id}`))
      case 'LIST':
        return many(uids.map((id, i) => `${i + 1} ${script.mails.get(id)?.length ?? 0}`))
      case 'TOP':
        if (mail === undefined) return '-ERR no such message'
        return many(stuffed((lines === '0' ? mail.split('\r\n\r\n')[0] : mail) ?? ''))
      case 'RETR':
        return mail === undefined ? '-ERR no such message' : many(stuffed(mail.replace(/\r\n$/, '')))
      case 'DELE':
        marked.add(uid)
        return '+OK'
      case 'QUIT':
        for (const id of marked) script.mails.delete(id)
        return '+OK bye'
      default:
        return '+OK'
    }
  }
  let rest = ''
  socket.write('+OK scripted\r\n')
  socket.setEncoding('latin1').on('data', (text: string) => {
    const lines = (rest + text).split('\r\n')
    rest = lines.pop() ?? ''
    for (const command of lines) {
      commands.push(command)
      const special = script.answer?.(command)
      const answer = special === undefined ? usual(command) : special
      if (answer !== null) socket.write(`${answer}\r\n`)
      if (command === 'QUIT') socket.end()
    }
  })
}
