// The worker thread with the connection to PostgreSQL, for one request at a time. After a lost connection the next request
// that is `isFresh` connects again.

import { type MessagePort, workerData } from 'node:worker_threads'
import pg from 'pg'
import type { Value } from './sql-connection.ts'

export type WorkerSettings = {
  readonly port: MessagePort
  /** Set to 1 and notified when an answer is in the port. */
  readonly signal: Int32Array
  readonly url: string
  readonly password: string | null
  readonly connectMs: number
  readonly statementMs: number
}

export type Query = {
  /** Of the prepared statement. */
  readonly name: string
  readonly text: string
  readonly values: readonly Value[]
  readonly rows: 'objects' | 'first-columns'
}

export type Request = {
  readonly id: number
  /** Whether it may go over a new connection: it belongs to no transaction that is open. */
  readonly isFresh: boolean
  /** Plain SQL before and after the query. */
  readonly before: string
  readonly query: Query | null
  readonly after: string
}

/** Closes the connection at once. */
export type Abandon = { readonly abandon: true }

export type Answer = {
  readonly id: number
  readonly rows: readonly unknown[]
  readonly changes: number
  readonly failure: Failure | null
}

/** `code`: SQLSTATE, or Node's of a connection. */
export type Failure = { readonly code: string; readonly message: string }

const int8 = 20
const int2 = 21
const int4 = 23
const bytea = 17
const numeric = 1700

/** Whole numbers of ours are below 2^53; sums come as numeric. */
const types = {
  getTypeParser: (oid: number) => {
    if (oid === int8 || oid === int2 || oid === int4 || oid === numeric) return Number
    if (oid === bytea) return (text: string) => new Uint8Array(Buffer.from(text.slice(2), 'hex'))
    return (text: string) => text
  },
} as unknown as pg.CustomTypesConfig

const { port, signal, url, password, connectMs, statementMs } = workerData as WorkerSettings
let client: pg.Client | null = null

port.on('message', (message: Request | Abandon) => {
  if ('abandon' in message) leave()
  else void answer(message)
})

async function answer(request: Request): Promise<void> {
  try {
    tell({ id: request.id, ...(await work(request)), failure: null })
  } catch (thrown) {
    tell({ id: request.id, rows: [], changes: 0, failure: failureOf(thrown) })
  }
}

function tell(answer: Answer): void {
  port.postMessage(answer)
  Atomics.store(signal, 0, 1)
  Atomics.notify(signal, 0)
}

async function work({ isFresh, before, query, after }: Request): Promise<Pick<Answer, 'rows' | 'changes'>> {
  if (client === null && !isFresh)
    throw Object.assign(new Error('the connection was lost'), { code: '08006' })
  client ??= await connect()
  const live = client
  try {
    if (before !== '') await run(live, before)
    const { name, text, values, rows: form } = query ?? { name: '', text: '', values: [], rows: 'objects' }
    if (query === null) {
      if (after !== '') await run(live, after)
      return { rows: [], changes: 0 }
    }
    const config = { name, text, values: [...values], types }
    const result =
      form === 'objects'
        ? await live.query(config)
        : await live.query({ ...config, rowMode: 'array' } satisfies pg.QueryArrayConfig)
    if (after !== '') await run(live, after)
    const rows = form === 'objects' ? result.rows : result.rows.map((row: unknown[]) => row[0])
    return { rows, changes: result.rowCount ?? 0 }
  } catch (thrown) {
    // The transaction would have ended with this request and must not stay open.
    if (after !== '' && client === live) await live.query('ROLLBACK').catch(leave)
    throw thrown
  }
}

/** PostgreSQL answers COMMIT in a failed transaction with ROLLBACK and no error. */
async function run(live: pg.Client, text: string): Promise<void> {
  const result = (await live.query(text)) as pg.QueryResult | pg.QueryResult[]
  const last = Array.isArray(result) ? result.at(-1) : result
  if (text.endsWith('COMMIT') && last?.command !== 'COMMIT')
    throw Object.assign(new Error('the transaction had failed'), { code: '25P02' })
}

async function connect(): Promise<pg.Client> {
  const made = new pg.Client({
    connectionString: url,
    ...(password !== null && { password }),
    application_name: 'peerpost',
    connectionTimeoutMillis: connectMs,
    statement_timeout: statementMs,
    lock_timeout: statementMs,
    idle_in_transaction_session_timeout: 4 * statementMs,
    keepAlive: true,
    options: '-c search_path=peerpost -c client_min_messages=warning',
  })
  const lose = () => {
    if (client === made) client = null
  }
  made.on('error', lose)
  made.on('end', lose)
  await made.connect()
  return made
}

function leave(): void {
  const left = client
  client = null
  // Without `end()`: the server may not answer.
  ;(left as unknown as { connection: { stream: { destroy(): void } } } | null)?.connection.stream.destroy()
}

function failureOf(thrown: unknown): Failure {
  const { code, message } = thrown as { code?: unknown; message?: unknown }
  return { code: typeof code === 'string' ? code : '08000', message: String(message).split('\n')[0] ?? '' }
}
