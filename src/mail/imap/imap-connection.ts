// Adds to imapflow: one connection with one selected folder, our limits, and Problems instead of library errors.
// It never reconnects: imap-reconnect.ts makes a new connection.

import { ImapFlow, type ImapFlowOptions } from 'imapflow'
import { Problem } from '../../base/problem.ts'
import type { Credentials } from '../auth/credentials.ts'
import { allowsClearText, type ImapUrl, isLoopbackHost, serverName } from '../mail-url.ts'
import { fieldsOf, reasonOf } from '../server-errors.ts'
import { connectProblem } from './imap-errors.ts'

export type ImapTiming = {
  /** From the last command to IDLE. Short, because Dovecot announces new mail only in IDLE. Not zero, because each
   *  command that ends IDLE costs one more round trip. */
  readonly autoIdleDelayMs: number
  readonly connectTimeoutMs: number
  /** A command without an answer for this time ends the connection. An idle connection gets a NOOP. */
  readonly socketTimeoutMs: number
  /** IDLE is renewed this often. A dead connection is noticed within `maxIdleMs + socketTimeoutMs`. */
  readonly maxIdleMs: number
}

export const imapTiming: ImapTiming = {
  autoIdleDelayMs: 100,
  connectTimeoutMs: 20_000,
  socketTimeoutMs: 45_000,
  maxIdleMs: 25_000,
}

export type ImapItem = { readonly uid: number; readonly sizeBytes: number; readonly start: Uint8Array }

type ImapEvents = {
  /** There may be new mail. */
  readonly onExists: () => void
  /** Called once if the connection is lost, but not if we close it. */
  readonly onLost: (reason: string) => void
}

/** Mails that are removed by one pair of commands. */
const removeBatch = 500

/** Connects, logs in and selects the folder. Rejects with a Problem, which never contains the password. */
export async function connectImap(
  url: ImapUrl,
  credentials: Credentials,
  maxBytes: number,
  timing: ImapTiming,
  events: ImapEvents,
): Promise<ImapConnection> {
  const client = new ImapFlow(clientOptions(url, credentials, maxBytes, timing))
  let lost = 'the server closed the connection'
  // Set before connect(): without a listener an error would end the process.
  client.on('error', (error) => {
    lost = reasonOf(error)
  })
  try {
    await client.connect()
    const folder = await openFolder(client, url)
    const connection = new ImapConnection(client, url, folder, maxBytes)
    client.on('exists', () => events.onExists())
    const reportLoss = () => {
      if (connection.markClosed()) events.onLost(client.byeReason ?? lost)
    }
    client.once('close', reportLoss)
    client.on('error', (error) => {
      lost = reasonOf(error)
      client.close()
      reportLoss()
    })
    if (!client.usable) throw new Error(lost)
    return connection
  } catch (error) {
    client.close()
    throw connectProblem(url, error)
  }
}

function clientOptions(
  url: ImapUrl,
  credentials: Credentials,
  maxBytes: number,
  timing: ImapTiming,
): ImapFlowOptions {
  const { user } = credentials
  // To loopback even clear text is allowed, so a self-signed certificate is accepted there.
  const allowsSelfSigned = url.tls === 'offered' && isLoopbackHost(url.host)
  return {
    host: url.host,
    port: url.port,
    secure: url.tls === 'always',
    auth:
      credentials.kind === 'token'
        ? { user, accessToken: credentials.token }
        : { user, pass: credentials.password },
    logger: false,
    clientInfo: { name: 'peerpost', version: false, vendor: false, 'support-url': false },
    tls: { rejectUnauthorized: !allowsSelfSigned },
    autoIdleDelay: timing.autoIdleDelayMs,
    maxIdleTime: timing.maxIdleMs,
    connectionTimeout: timing.connectTimeoutMs,
    greetingTimeout: timing.connectTimeoutMs,
    socketTimeout: timing.socketTimeoutMs,
    maxLiteralSize: maxBytes + 1_024,
    // The answer to SEARCH is one line. 8 MB are a million UIDs.
    maxLineLength: 8_388_608,
    maxResponseSize: maxBytes + 8_388_608,
    maxLockHoldTime: false,
    disableCompression: true,
    ...(url.tls === 'never' ? { doSTARTTLS: false } : allowsClearText(url) ? {} : startTls(url)),
  }
}

/** Demands STARTTLS before the login. imapflow refuses this option together with TLS from the start. */
function startTls({ tls }: ImapUrl): { doSTARTTLS?: true } {
  return tls === 'always' ? {} : { doSTARTTLS: true }
}

async function openFolder(client: ImapFlow, url: ImapUrl) {
  try {
    const folder = await client.mailboxOpen(url.folder)
    if (!folder.readOnly) return folder
  } catch (error) {
    const { responseStatus } = fieldsOf(error)
    if (responseStatus !== 'NO' && responseStatus !== 'BAD') throw error
    throw new Problem(
      'mail-server',
      `The IMAP server ${serverName(url)} does not open the folder ${url.folder}: ${reasonOf(error)}.`,
      'Check ?folder=NAME in the URL.',
      { cause: error },
    )
  }
  throw new Problem(
    'mail-server',
    `The IMAP server ${serverName(url)} opens the folder ${url.folder} for reading only.`,
    'Letters must be deleted after reading. Use another folder.',
  )
}

export class ImapConnection {
  readonly #client: ImapFlow
  readonly #url: ImapUrl
  readonly #maxBytes: number
  #closed = false
  readonly uidValidity: string
  /** The highest possible UID of mails that were in the folder when it was selected. */
  readonly lastUid: number

  constructor(
    client: ImapFlow,
    url: ImapUrl,
    folder: { readonly uidValidity: bigint; readonly uidNext: number },
    maxBytes: number,
  ) {
    this.#client = client
    this.#url = url
    this.#maxBytes = maxBytes
    this.uidValidity = String(folder.uidValidity)
    this.lastUid = Math.max(0, (folder.uidNext || 1) - 1)
  }

  /** False if it was closed before. */
  markClosed(): boolean {
    const first = !this.#closed
    this.#closed = true
    return first
  }

  /** UIDs from `from` on of mails with this text in the subject, or one of `senders` in From. Mails marked as
   *  deleted are included, because a program may have crashed before it expunged them. Without UIDPLUS they are
   *  not included, because then we can only mark mails ourselves. */
  async search(subject: string, from: number, senders: readonly string[] = []): Promise<number[]> {
    const uid = from > 1 ? { uid: `${from}:*` } : {}
    const unmarked = this.deletesForGood ? {} : { deleted: false }
    const either =
      senders.length === 0 ? { subject } : { or: [{ subject }, ...senders.map((text) => ({ from: text }))] }
    const found = await this.#client.search({ ...either, ...unmarked, ...uid }, { uid: true })
    if (!Array.isArray(found)) throw this.#failed('search its folder')
    return found
  }

  /** Size and the first `maxBytes` of each mail, by BODY.PEEK, which sets no flag. Missing mails are left out. */
  async fetch(uids: readonly number[]): Promise<ImapItem[]> {
    const query = { uid: true, size: true, source: { start: 0, maxLength: this.#maxBytes } }
    const messages = await this.#client.fetchAll(uids.join(','), query, { uid: true })
    const wanted = new Set(uids)
    const items: ImapItem[] = []
    for (const { uid, size, source } of messages) {
      if (wanted.has(uid) && source) items.push({ uid, sizeBytes: size ?? source.length, start: source })
    }
    return items.sort((a, b) => a.uid - b.uid)
  }

  /** Whether single mails can be deleted (UIDPLUS, RFC 4315). Without it EXPUNGE would also delete mails that
   *  other programs marked, so `remove` only marks mails. */
  get deletesForGood(): boolean {
    return this.#client.capabilities.has('UIDPLUS')
  }

  /** Whether the server announces new mail (IDLE, RFC 2177). */
  get announces(): boolean {
    return this.#client.capabilities.has('IDLE')
  }

  async remove(uids: readonly number[]): Promise<void> {
    for (let at = 0; at < uids.length; at += removeBatch) {
      const range = uids.slice(at, at + removeBatch).join(',')
      const done = this.deletesForGood
        ? await this.#client.messageDelete(range, { uid: true })
        : await this.#client.messageFlagsAdd(range, ['\\Deleted'], { uid: true })
      if (done !== true) throw this.#failed('delete letters')
    }
  }

  /** Used and available space of the mailbox (RFC 9208). Null if the server has or shows no limit. */
  async quota(): Promise<{ readonly usedBytes: number; readonly limitBytes: number } | null> {
    const quota = await this.#client.getQuota(this.#url.folder)
    const { usage, limit } = quota === false ? {} : (quota.storage ?? {})
    return typeof usage === 'number' && typeof limit === 'number' && limit > 0
      ? { usedBytes: usage, limitBytes: limit }
      : null
  }

  async noop(): Promise<void> {
    await this.#client.noop()
  }

  /** Ends the connection with LOGOUT. `destroy` ends it at once. */
  async logout(): Promise<void> {
    this.#closed = true
    await this.#client.logout()
  }

  destroy(): void {
    this.#closed = true
    this.#client.close()
  }

  #failed(what: string): Problem {
    return new Problem(
      'mail-server',
      `The IMAP server ${serverName(this.#url)} did not ${what}.`,
      'It is tried again. If it lasts, read the log of the mail server.',
    )
  }
}
