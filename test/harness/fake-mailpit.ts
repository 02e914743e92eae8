// Replaces Mailpit when it is not installed: SMTP in, the web API and the WebSocket out, as documented for
// Mailpit 1.30. It has one mailbox for all addresses, 50 mails per page by default, newest first, searches by
// part of a word, and a deletion without IDs that deletes everything.

import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { simpleParser } from 'mailparser'
import { SMTPServer } from 'smtp-server'
import type { Mailpit, MailpitOptions, StoredMail } from './mailpit.ts'

type Stored = StoredMail & { read: boolean; readonly shown: Awaited<ReturnType<typeof shownOf>> }

export async function startFakeMailpit({ login, root = '' }: MailpitOptions = {}): Promise<Mailpit> {
  /** Mails, newest last. */
  let mails: Stored[] = []
  const sockets = new Set<Duplex>()
  const broadcast = (event: unknown) => {
    for (const socket of sockets) socket.write(textFrame(JSON.stringify(event)))
  }
  const store = async (raw: Buffer) => {
    const id = randomBytes(16).toString('base64url').replace(/[_-]/g, 'x')
    const mail = { id, raw, read: false, shown: await shownOf(raw) }
    mails.push(mail)
    broadcast({ Type: 'new', Data: summary(mail) })
    broadcast({ Type: 'stats', Data: { Total: mails.length } })
    return mail.id
  }

  const smtp = new SMTPServer({
    ...{
      disabledCommands: ['AUTH', 'STARTTLS'],
      authOptional: true,
      disableReverseLookup: true,
      logger: false,
    },
    onData(stream, _session, callback) {
      const chunks: Buffer[] = []
      stream.on('data', (chunk: Buffer) => chunks.push(chunk))
      stream.on('end', () => {
        void store(Buffer.concat(chunks)).then(() => callback())
      })
    },
  })
  smtp.on('error', () => undefined)
  const smtpListener = smtp.listen(0, '127.0.0.1')
  await once(smtpListener, 'listening')

  const isLetIn = (request: IncomingMessage) =>
    login === undefined ||
    request.headers.authorization ===
      `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}`

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://x')
    if (!url.pathname.startsWith(root)) return send(response, 404, 'not found')
    const path = url.pathname.slice(root.length)
    if (path === '/readyz' || path === '/livez') return send(response, 200, 'ok')
    if (!isLetIn(request)) return send(response, 401, 'Unauthorized.\n')
    const page = (found: Stored[]) => {
      const start = Number(url.searchParams.get('start') ?? 0)
      const limit = Number(url.searchParams.get('limit') ?? 50)
      const messages = found
        .toReversed()
        .slice(start, start + limit)
        .map(summary)
      send(
        response,
        200,
        JSON.stringify({ total: mails.length, messages_count: found.length, start, messages }),
      )
    }
    const [, id] = /^\/api\/v1\/message\/([^/]+)\/raw$/.exec(path) ?? []
    if (request.method === 'GET' && id !== undefined) {
      const mail = mails.find((one) => one.id === id)
      return mail ? send(response, 200, mail.raw) : send(response, 404, 'not found')
    }
    if (request.method === 'GET' && path === '/api/v1/messages') return page(mails)
    if (request.method === 'GET' && path === '/api/v1/search') {
      const [, part] = /^subject:"([^"]+)"$/.exec(url.searchParams.get('query') ?? '') ?? []
      if (part === undefined) return send(response, 400, 'Error: no search query')
      return page(mails.filter(({ shown }) => shown.Subject.toLowerCase().includes(part.toLowerCase())))
    }
    if (request.method === 'DELETE' && path === '/api/v1/messages') {
      const ids = new Set(idsOf(await bodyOf(request)))
      mails = ids.size === 0 ? [] : mails.filter((mail) => !ids.has(mail.id))
      return send(response, 200, 'ok')
    }
    send(response, 404, 'not found')
  }

  const web = createServer((request, response) => {
    answer(request, response).catch(() => send(response, 500, 'broken'))
  })
  web.on('upgrade', (request, socket) => {
    if (request.url !== `${root}/api/events` || !isLetIn(request)) {
      socket.end('HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n')
      return
    }
    const accept = createHash('sha1')
      .update(`${request.headers['sec-websocket-key']}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
      .digest('base64')
    socket.write(
      `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n\r\n`,
    )
    sockets.add(socket)
    socket.on('error', () => undefined)
    socket.on('close', () => sockets.delete(socket))
    // The client's messages are ignored; only its close matters.
    socket.on('data', (frame: Buffer) => ((frame[0] ?? 0) & 0x0f) === 8 && socket.end(Buffer.from([0x88, 0])))
  })
  web.listen(0, '127.0.0.1')
  await once(web, 'listening')

  return {
    smtpPort: (smtpListener.address() as { port: number }).port,
    webPort: (web.address() as { port: number }).port,
    deliver: async (raws) => {
      for (const raw of raws) await store(Buffer.from(raw))
    },
    mails: async () => mails.map(({ id, raw, read }) => ({ id, raw, read })),
    async stop() {
      for (const socket of sockets) socket.destroy()
      web.closeAllConnections()
      await new Promise((resolve) => web.close(resolve))
      await new Promise<void>((resolve) => smtp.close(() => resolve()))
    },
  }
}

function summary({ id, raw, read, shown }: Stored) {
  return { ...shown, ID: id, Size: raw.length, Read: read, Snippet: '' }
}

async function shownOf(raw: Buffer) {
  const { subject, to, cc } = await simpleParser(raw)
  const list = (field: typeof to) =>
    [field ?? []]
      .flat()
      .flatMap(({ value }) => value.map(({ address = '' }) => ({ Name: '', Address: address })))
  return { Subject: subject ?? '', To: list(to), Cc: list(cc), Bcc: [] }
}

function idsOf(body: Buffer): string[] {
  try {
    const { IDs } = JSON.parse(body.toString()) as { IDs?: string[] }
    return IDs ?? []
  } catch {
    return []
  }
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

function send(response: ServerResponse, status: number, body: string | Uint8Array): void {
  response.writeHead(status, { 'content-length': Buffer.byteLength(body) })
  response.end(body)
}

/** A server's text frame is not masked (RFC 6455 §5.2). */
function textFrame(text: string): Buffer {
  const payload = Buffer.from(text)
  const head =
    payload.length < 126
      ? Buffer.from([0x81, payload.length])
      : Buffer.from([0x81, 126, payload.length >> 8, payload.length & 0xff])
  return Buffer.concat([head, payload])
}
