// A Connection to PostgreSQL. It is synchronous: a worker thread has the socket, and the host's thread waits for its answer
// for at most `answerMs`. As in SQLite, transactions of all processes run one after the other. Here an advisory lock does it.

import { setTimeout as sleep } from 'node:timers/promises'
import { MessageChannel, type MessagePort, receiveMessageOnPort, Worker } from 'node:worker_threads'
import type { Abandon, Answer, Query, Request, WorkerSettings } from './postgres-worker.ts'
import type { Connection, Statement, Value } from './sql-connection.ts'

/** Timeouts for connecting and, on the server, for a single statement. */
const connectMs = 5_000
const statementMs = 10_000
/** The server must answer a request, which has few statements, in this time. Otherwise it counts as unreachable. */
const answerMs = 15_000
/** For this time after a failed connection every query fails at once, because each attempt would block the host's thread. */
const pauseMs = 1_000

/** "ppst": the advisory lock that all hosts of a database use. */
export const lockKey = 0x70707374
const begin = `BEGIN; SELECT pg_advisory_xact_lock(${lockKey})`
const tryLock: Query = {
  name: 'peerpost_try_lock',
  text: `SELECT pg_try_advisory_xact_lock(${lockKey})::int`,
  values: [],
  rows: 'first-columns',
}
/** Pauses between two attempts to get the lock. Each attempt blocks the thread for one or two round trips. */
const lockPauseMs = { first: 2, most: 16 }
/** After this time `asyncTransaction` blocks the thread and waits in PostgreSQL's queue for the lock, where no other process
 *  overtakes it. */
const lockPollingMs = 1_000

/** `code`: SQLSTATE, or Node's code of a connection error. */
export class PostgresFailure extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

export class PostgresConnection implements Connection {
  readonly isShared = true
  readonly #worker: Worker
  readonly #port: MessagePort
  readonly #signal = new Int32Array(new SharedArrayBuffer(4))
  /** SQL without a result that is sent with the next request: BEGIN, SAVEPOINT and the like. */
  #before: string[] = []
  /** Whether the server has got the BEGIN of this transaction. */
  #isSent = false
  #depth = 0
  #requests = 0
  #statements = 0
  #lastFailure: { readonly failure: PostgresFailure; readonly until: number } | null = null
  #closed = false

  constructor(url: string, password: string | null) {
    const { port1, port2 } = new MessageChannel()
    const settings: WorkerSettings = {
      port: port2,
      signal: this.#signal,
      url,
      password,
      connectMs,
      statementMs,
    }
    this.#port = port1
    // `postgres-worker.ts` in a checkout, `.js` in the package.
    this.#worker = new Worker(new URL(`./postgres-worker${import.meta.url.slice(-3)}`, import.meta.url), {
      workerData: settings,
      transferList: [port2],
      execArgv: [],
    })
    this.#worker.unref()
    this.#port.unref()
  }

  get inTransaction(): boolean {
    return this.#depth > 0
  }

  prepare(sql: string): Statement {
    return new PostgresStatement(this, `peerpost_${this.#statements++}`, numbered(sql))
  }

  exec(sql: string): void {
    if (this.#depth > 0) this.#request(sql, null, '')
    else this.#request(begin, null, `${sql};COMMIT`)
  }

  query(query: Query): Answer {
    if (this.#depth > 0) return this.#request('', query, '')
    // Statements that begin with WITH lock the rows they change, and need no transaction.
    return /^\s*(SELECT|WITH)/.test(query.text)
      ? this.#request('', query, '')
      : this.#request(begin, query, 'COMMIT')
  }

  transaction<T>(work: () => T): T {
    if (this.#depth === 0) this.#isSent = false
    this.#before.push(this.#depth === 0 ? begin : `SAVEPOINT nested_${this.#depth}`)
    return this.#within(work)
  }

  async asyncTransaction<T>(work: () => T): Promise<T> {
    const pollUntil = performance.now() + lockPollingMs
    for (let pauseMs = lockPauseMs.first; performance.now() < pollUntil; ) {
      if (this.#tryBegin()) return this.#within(work)
      await sleep(pauseMs)
      pauseMs = Math.min(2 * pauseMs, lockPauseMs.most)
    }
    return this.transaction(work)
  }

  /** Begins a transaction if no other process has the lock. */
  #tryBegin(): boolean {
    this.#isSent = true
    let isOurs = false
    try {
      isOurs = this.#send({ isFresh: true, before: 'BEGIN', query: tryLock, after: '' }).rows[0] === 1
    } finally {
      if (!isOurs) this.#rollBack()
    }
    return isOurs
  }

  /** Runs `work` in the open transaction or savepoint and ends it: by a commit, or by a rollback if `work` throws. */
  #within<T>(work: () => T): T {
    const savepoint = `nested_${this.#depth}`
    const isOutermost = this.#depth === 0
    this.#depth++
    let result: T
    try {
      result = work()
    } catch (thrown) {
      this.#depth--
      if (isOutermost) this.#rollBack()
      else this.#before.push(`ROLLBACK TO ${savepoint}; RELEASE ${savepoint}`)
      throw thrown
    }
    if (isOutermost) this.#commit()
    else {
      this.#depth--
      this.#before.push(`RELEASE ${savepoint}`)
    }
    return result
  }

  close(): void {
    if (this.#closed) return
    this.#closed = true
    this.#abandon()
    this.#port.close()
    void this.#worker.terminate()
  }

  #commit(): void {
    try {
      if (this.#isSent) this.#request('', null, 'COMMIT')
    } catch (thrown) {
      this.#depth--
      this.#rollBack()
      throw thrown
    }
    this.#depth--
    this.#before = []
  }

  /** If ROLLBACK cannot be sent, closes the connection, and the server rolls back. */
  #rollBack(): void {
    this.#before = []
    if (!this.#isSent) return
    try {
      this.#send({ isFresh: false, before: '', query: null, after: 'ROLLBACK' })
    } catch {
      this.#abandon()
    }
  }

  #request(before: string, query: Query | null, after: string): Answer {
    const isFresh = this.#depth === 0 || !this.#isSent
    const waiting = this.#before
    this.#before = []
    this.#isSent = true
    return this.#send({ isFresh, before: [...waiting, before].filter(Boolean).join(';'), query, after })
  }

  #send(request: Omit<Request, 'id'>): Answer {
    if (this.#closed) throw new PostgresFailure('08003', 'the connection was closed')
    if (this.#lastFailure && performance.now() < this.#lastFailure.until) throw this.#lastFailure.failure
    const id = ++this.#requests
    Atomics.store(this.#signal, 0, 0)
    this.#port.postMessage({ id, ...request } satisfies Request)
    const { failure, ...answer } = this.#await(id)
    this.#lastFailure = null
    if (failure === null) return { ...answer, failure }
    const thrown = new PostgresFailure(failure.code, failure.message)
    if (isConnectionFailure(failure.code))
      this.#lastFailure = { failure: thrown, until: performance.now() + pauseMs }
    throw thrown
  }

  #await(id: number): Answer {
    const deadline = performance.now() + answerMs
    for (;;) {
      const answer = receiveMessageOnPort(this.#port)?.message as Answer | undefined
      if (answer?.id === id) return answer
      // This is the late answer to a request that timed out.
      if (answer) continue
      const leftMs = deadline - performance.now()
      if (leftMs <= 0 || Atomics.wait(this.#signal, 0, 0, leftMs) === 'timed-out') {
        this.#abandon()
        throw new PostgresFailure('ETIMEDOUT', `the server has not answered for ${answerMs / 1000} s`)
      }
      Atomics.store(this.#signal, 0, 0)
    }
  }

  #abandon(): void {
    this.#port.postMessage({ abandon: true } satisfies Abandon)
  }
}

class PostgresStatement implements Statement {
  readonly #connection: PostgresConnection
  readonly #name: string
  readonly #text: string
  #rows: Query['rows'] = 'objects'

  constructor(connection: PostgresConnection, name: string, text: string) {
    this.#connection = connection
    this.#name = name
    this.#text = text
  }

  pluck(): this {
    this.#rows = 'first-columns'
    return this
  }

  get(...values: readonly Value[]): unknown {
    return this.#query(values).rows[0]
  }

  all(...values: readonly Value[]): unknown[] {
    return [...this.#query(values).rows]
  }

  run(...values: readonly Value[]): { readonly changes: number } {
    return { changes: this.#query(values).changes }
  }

  #query(values: readonly Value[]): Answer {
    const query = { name: this.#name, text: this.#text, rows: this.#rows }
    return this.#connection.query({ ...query, values: values.map(withOwnBuffer) })
  }
}

/** Copies a view, because its whole buffer would be sent to the other thread. */
function withOwnBuffer(value: Value): Value {
  const isView = value instanceof Uint8Array && value.byteLength !== value.buffer.byteLength
  return isView ? new Uint8Array(value) : value
}

/** Replaces each `?` by `$1`, `$2`, … and removes SQLite's INDEXED BY. Our SQL has no `?` in a string. */
function numbered(sql: string): string {
  let count = 0
  return sql.replace(/ INDEXED BY \w+/, '').replaceAll('?', () => `$${++count}`)
}

/** Whether a code of SQLSTATE or Node means: no connection, no login, a shutdown, or no resources. */
function isConnectionFailure(code: string): boolean {
  return /^(08|28|57P|53|3D)/.test(code) || /^E[A-Z]+$/.test(code)
}
