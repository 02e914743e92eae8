// What SQLite and PostgreSQL have in common: prepared statements and transactions. Both are synchronous, because each letter
// is handled in one transaction without an await.

export type Value = string | number | null | Uint8Array

export interface Statement {
  /** The first row, or undefined. */
  get(...values: readonly Value[]): unknown
  all(...values: readonly Value[]): unknown[]
  run(...values: readonly Value[]): { readonly changes: number }
  /** Returns the same statement. From now on a row is the value of its first column. */
  pluck(): Statement
}

export interface Connection {
  /** Whether other host processes use the same tables. Then rows that can change must not be cached. */
  readonly isShared: boolean
  readonly inTransaction: boolean
  /** Each `?` is replaced by a value, in order. */
  prepare(sql: string): Statement
  exec(sql: string): void
  /** Commits all changes of `work` or none. Transactions of all processes run one after the other. A nested one can fail
   *  alone. */
  transaction<T>(work: () => T): T
  /** Like `transaction`, but does not block the thread while it waits for transactions of other processes. */
  asyncTransaction<T>(work: () => T): Promise<T>
  /** May be called again. */
  close(): void
}
