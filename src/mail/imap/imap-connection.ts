// One connection to an IMAP server with one folder selected: connect, search, fetch, delete. A lost
// connection is never mended here; the mailbox makes a new one.

import { ImapFlow, type ImapFlowOptions } from 'imapflow'
import { Problem } from '../../base/problem.ts'
import type { Credentials } from '../auth/credentials.ts'
import { type ImapUrl, isLoopbackHost, mayStayInClear, serverName } from '../mail-url.ts'
import { fieldsOf, reasonOf } from '../server-errors.ts'
import { connectProblem } from './imap-errors.ts'

export type ImapTiming = {
  /** From the last command to IDLE. Short, because Dovecot announces new mail only in IDLE; not zero,
   *  because every command that breaks IDLE costs a round trip more. */
  readonly autoIdleDelayMs: number
  readonly connectTimeoutMs: number
  /** A command unanswered for this long ends the connection; an idle one is asked whether it lives. */
  readonly socketTimeoutMs: number
  /** IDLE is renewed this often. A dead line is noticed within
   *  `maxIdleMs + socketTimeoutMs`. */
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
  /** New mail may be there. */
  readonly onExists: () => void
  /** Once, when the connection is lost for whatever reason but `close`. */
  readonly onLost: (reason: string) => void
}

/** Mails removed by one pair of commands. */
const removeBatch = 500

/** Connects, logs in and selects the folder; rejects with a Problem that shows no password. */
export async function connectImap(
  url: ImapUrl,
  credentials: Credentials,
  maxBytes: number,
  timing: ImapTiming,
  events: ImapEvents,
): Promise<ImapConnection> {
  const client = new ImapFlow(clientOptions(url, credentials, maxBytes, timing))
  let lost = 'the server closed the connection'
  // Before connect(): without a listener the first error would end the process.
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
  // To loopback even clear text is allowed, so a self-made certificate there is no reason to fail.
  const careless = url.tls === 'offered' && isLoopbackHost(url.host)
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
    tls: { rejectUnauthorized: !careless },
    autoIdleDelay: timing.autoIdleDelayMs,
    maxIdleTime: timing.maxIdleMs,
    connectionTimeout: timing.connectTimeoutMs,
    greetingTimeout: timing.connectTimeoutMs,
    socketTimeout: timing.socketTimeoutMs,
    maxLiteralSize: maxBytes + 1_024,
    // A SEARCH answer is one line: 8 MB are a million UIDs.
    maxLineLength: 8_388_608,
    maxResponseSize: maxBytes + 8_388_608,
    maxLockHoldTime: false,
    disableCompression: true,
    ...(url.tls === 'never' ? { doSTARTTLS: false } : mayStayInClear(url) ? {} : startTls(url)),
  }
}

/** Never send the password before TLS is up; not to be set together with TLS from the start. */
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
    'Letters must be deleted after reading: use a folder of your own.',
  )
}

export class ImapConnection {
  readonly #client: ImapFlow
  readonly #url: ImapUrl
  readonly #maxBytes: number
  #closed = false
  readonly uidValidity: string
  /** No mail that was there when the folder was selected has a higher UID. */
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

  /** False when it was closed before. */
  markClosed(): boolean {
    const first = !this.#closed
    this.#closed = true
    return first
  }

  /** UIDs at or above `from` whose subject contains the text or whose From one of `senders`, as far as the server can tell. Letters marked as
   *  deleted are among them, for whoever marked them may have died before expunging; not so where marking is all
   *  that can be done. */
  async search(subject: string, from: number, senders: readonly string[] = []): Promise<number[]> {
    const uid = from > 1 ? { uid: `${from}:*` } : {}
    const unmarked = this.deletesForGood ? {} : { deleted: false }
    const either =
      senders.length === 0 ? { subject } : { or: [{ subject }, ...senders.map((text) => ({ from: text }))] }
    const found = await this.#client.search({ ...either, ...unmarked, ...uid }, { uid: true })
    if (!Array.isArray(found)) throw this.#failed('search its folder')
    return found
  }

  /** Size and the first `maxBytes` of each mail, unmarked (BODY.PEEK). Mails that are gone are left out. */
  async fetch(uids: readonly number[]): Promise<ImapItem[]> {
    const query = { uid: true, size: true, source: { start: 0, maxLength: this.#maxBytes } }
    const messages = await this.#client.fetchAll(uids.join(','), query, { uid: true })
    const asked = new Set(uids)
    const items: ImapItem[] = []
    for (const { uid, size, source } of messages) {
      if (asked.has(uid) && source) items.push({ uid, sizeBytes: size ?? source.length, start: source })
    }
    return items.sort((a, b) => a.uid - b.uid)
  }

  /** Whether mails can be deleted one by one (UIDPLUS, RFC 4315). Without it EXPUNGE would take away what
   *  other programs have marked, so `remove` only marks. */
  get deletesForGood(): boolean {
    return this.#client.capabilities.has('UIDPLUS')
  }

  /** Whether the server tells of new mail by itself (IDLE, RFC 2177). */
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

  /** How much the mailbox holds and may hold (RFC 9208); null where the server sets or tells no limit. */
  async room(): Promise<{ readonly usedBytes: number; readonly limitBytes: number } | null> {
    const quota = await this.#client.getQuota(this.#url.folder)
    const { usage, limit } = quota === false ? {} : (quota.storage ?? {})
    return typeof usage === 'number' && typeof limit === 'number' && limit > 0
      ? { usedBytes: usage, limitBytes: limit }
      : null
  }

  async noop(): Promise<void> {
    await this.#client.noop()
  }

  /** Says goodbye; whoever cannot wait calls `destroy`. */
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
      'It is tried again; if it stays, look into the log of the mail server.',
    )
  }
}
