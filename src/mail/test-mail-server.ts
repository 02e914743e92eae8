// A mail server for one machine: takes mail for its domain by SMTP on loopback and puts it into Maildirs.
// For `peerpost demo` and tests; it neither sends mail on nor asks anybody for a password.

import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { SMTPServer, type SMTPServerAddress, type SMTPServerSession } from 'smtp-server'
import type { Clock } from '../base/clock.ts'
import { messageOf, Problem } from '../base/problem.ts'
import { isMailAddress } from '../letter/text-validation.ts'
import { isLoopbackHost } from './mail-url.ts'
import { createMaildirDelivery, type MaildirDelivery, makeMaildir } from './maildir/maildir-delivery.ts'

type TestMailServerOptions = {
  readonly clock: Clock
  /** Maildirs are made below it, one for each local part. */
  readonly folder: string
  readonly domain: string
  /** 0 or left out: any free port. */
  readonly port?: number
  /** A loopback address; default 127.0.0.1. */
  readonly listen?: string
  readonly maxBytes?: number
  /** Mailboxes, at most; mail for further names is refused. */
  readonly maxMailboxes?: number
}

const maxConnections = 50
const maxRecipients = 20

// A folder name on every system: no slashes, no leading dot, no surprises.
const localPartForm = /^[a-z0-9][a-z0-9_+-]{0,63}(?:\.[a-z0-9_+-]{1,32}){0,3}$/

type Refusing = Error & { responseCode: number }

function refusal(responseCode: number, text: string): Refusing {
  return Object.assign(new Error(text), { responseCode })
}

export class TestMailServer {
  readonly #options: TestMailServerOptions
  readonly #listen: string
  readonly #maxBytes: number
  readonly #delivery: MaildirDelivery
  readonly #mailboxes = new Map<string, Promise<string>>()
  readonly #server: SMTPServer

  constructor(options: TestMailServerOptions) {
    this.#options = options
    this.#listen = options.listen ?? '127.0.0.1'
    if (!isLoopbackHost(this.#listen)) {
      const what = `The embedded post office was to listen on ${this.#listen}, but it takes mail from anybody.`
      throw new Problem('config', what, 'Let it listen on 127.0.0.1 or ::1.')
    }
    this.#maxBytes = options.maxBytes ?? 1_048_576
    this.#delivery = createMaildirDelivery(options.clock)
    this.#server = new SMTPServer({
      name: options.domain,
      banner: 'peerpost post office',
      disabledCommands: ['AUTH', 'STARTTLS'],
      authOptional: true,
      disableReverseLookup: true,
      logger: false,
      size: this.#maxBytes,
      maxClients: maxConnections,
      socketTimeout: 60_000,
      closeTimeout: 1_000,
      onRcptTo: (address, session, callback) => callback(this.#checkRecipient(address, session)),
      onData: (stream, session, callback) => {
        this.#receive(stream, session).then(
          () => callback(),
          (error) => callback(error),
        )
      },
    })
    this.#server.on('error', () => undefined)
  }

  /** Resolves with the port it listens on. */
  async start(): Promise<number> {
    const { port = 0, folder } = this.#options
    await makeMaildirParent(folder)
    const listener = this.#server.listen(port, this.#listen)
    try {
      await once(listener, 'listening')
    } catch (error) {
      throw new Problem(
        'port-taken',
        `The embedded post office cannot listen on ${this.#listen}:${port}: ${messageOf(error)}.`,
        'Choose another port, or 0 for any.',
        { cause: error },
      )
    }
    const address = listener.address()
    return typeof address === 'object' && address !== null ? address.port : port
  }

  async stop(): Promise<void> {
    await new Promise<void>((resolve) => this.#server.close(() => resolve()))
  }

  /** The Maildir of an address of the domain, made if need be; throws a Problem for any other address. */
  async maildirOf(address: string): Promise<string> {
    const name = this.#localPart(address)
    if (name === null || !this.#hasRoomFor(name)) {
      throw new Problem('config', `The embedded post office has no mailbox ${address}.`, 'Check the address.')
    }
    return this.#openMaildir(name)
  }

  #localPart(address: string): string | null {
    if (!isMailAddress(address)) return null
    const at = address.lastIndexOf('@')
    const name = address.slice(0, at).toLowerCase()
    const ours = address.slice(at + 1).toLowerCase() === this.#options.domain.toLowerCase()
    return ours && localPartForm.test(name) ? name : null
  }

  #hasRoomFor(name: string): boolean {
    return this.#mailboxes.has(name) || this.#mailboxes.size < (this.#options.maxMailboxes ?? 1_000)
  }

  /** Mails that come at once for a new name wait for the same folder. */
  #openMaildir(name: string): Promise<string> {
    const known = this.#mailboxes.get(name)
    if (known) return known
    const folder = join(this.#options.folder, name)
    const made = makeMaildir(folder).then(
      () => folder,
      (error: unknown) => {
        this.#mailboxes.delete(name)
        throw error
      },
    )
    this.#mailboxes.set(name, made)
    return made
  }

  #checkRecipient({ address }: SMTPServerAddress, session: SMTPServerSession): Error | null {
    const name = this.#localPart(address)
    if (name === null) return refusal(550, '5.1.1 No such mailbox here')
    if (session.envelope.rcptTo.length >= maxRecipients) return refusal(452, '4.5.3 Too many recipients')
    return this.#hasRoomFor(name) ? null : refusal(452, '4.2.2 No room for another mailbox')
  }

  async #receive(stream: Readable, session: SMTPServerSession): Promise<void> {
    const chunks: Buffer[] = []
    let size = 0
    // Read to the end even when it is too big: the answer comes after the final dot.
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      size += chunk.length
      if (size <= this.#maxBytes) chunks.push(chunk)
    }
    if (size > this.#maxBytes) throw refusal(552, '5.3.4 Mail is too big')
    const names = new Set(session.envelope.rcptTo.map(({ address }) => this.#localPart(address)))
    for (const name of names) {
      if (name === null) continue
      const head = Buffer.from(`Delivered-To: ${name}@${this.#options.domain}\r\n`)
      await this.#delivery.deliver(await this.#openMaildir(name), Buffer.concat([head, ...chunks]))
    }
  }
}

async function makeMaildirParent(folder: string): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 }).catch((error: unknown) => {
    throw new Problem(
      'file',
      `The folder ${folder} for mailboxes cannot be made: ${messageOf(error)}.`,
      'Choose a folder that can be written.',
      { cause: error },
    )
  })
}
