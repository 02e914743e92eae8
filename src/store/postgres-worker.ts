// The worker thread with the connection to PostgreSQL. It handles one request at a time. After a lost connection the next
// request with `isFresh` connects again.

import { type MessagePort, workerData } from 'node:worker_threads'
import pg from 'pg'
import type { Value } from './sql-connection.ts'

export type WorkerSettings = {
  readonly port: MessagePort
  /** Set to 1 and notified when an answer was posted. */
  readonly signal: Int32Array
  readonly url: string
  readonly password: string | null
  readonly connectMs: number
  readonly statementMs: number
}

export type Query = {
  /** Name of the prepared statement. */
  readonly name: string
  readonly text: string
  readonly values: readonly Value[]
  readonly rows: 'objects' | 'first-columns'
}

export type Request = {
  readonly id: number
  /** Whether it may use a new connection, because it belongs to no open transaction. */
  readonly isFresh: boolean
  /** SQL without parameters that runs before and after the query. */
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

/** `code`: SQLSTATE, or Node's code of a connection error. */
export type Failure = { readonly code: string; readonly message: string }

const int8 = 20
const int2 = 21
const int4 = 23
const bytea = 17
const numeric = 1700

/** All our whole numbers are below 2^53. PostgreSQL returns sums as numeric. */
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
  if ('abandon' in message) disconnect()
  else void answer(message)
})

async function answer(request: Request): Promise<void> {
  try {
    post({ id: request.id, ...(await execute(request)), failure: null })
  } catch (thrown) {
    post({ id: request.id, rows: [], changes: 0, failure: failureOf(thrown) })
  }
}

function post(answer: Answer): void {
  port.postMessage(answer)
  Atomics.store(signal, 0, 1)
  Atomics.notify(signal, 0)
}

async function execute({
  isFresh,
  before,
  query,
  after,
}: Request): Promise<Pick<Answer, 'rows' | 'changes'>> {
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
    // This request should have ended the transaction, so the transaction must not stay open.
    if (after !== '' && client === live) await live.query('ROLLBACK').catch(disconnect)
    throw thrown
  }
}

/** Throws if a COMMIT did not commit: in a failed transaction PostgreSQL answers it with ROLLBACK and no error. */
async function run(live: pg.Client, text: string): Promise<void> {
  const result = (await live.query(text)) as pg.QueryResult | pg.QueryResult[]
  const last = Array.isArray(result) ? result.at(-1) : result
  if (text.endsWith('COMMIT') && last?.command !== 'COMMIT')
    throw Object.assign(new Error('the transaction had failed'), { code: '25P02' })
}

async function connect(): Promise<pg.Client> {
  const created = new pg.Client({
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
  const forget = () => {
    if (client === created) client = null
  }
  created.on('error', forget)
  created.on('end', forget)
  await created.connect()
  return created
}

function disconnect(): void {
  const old = client
  client = null
  // Not by `end()`, which waits for a server that may not answer.
  ;(old as unknown as { connection: { stream: { destroy(): void } } } | null)?.connection.stream.destroy()
}

function failureOf(thrown: unknown): Failure {
  const { code, message } = thrown as { code?: unknown; message?: unknown }
  return { code: typeof code === 'string' ? code : '08000', message: String(message).split('\n')[0] ?? '' }
}
