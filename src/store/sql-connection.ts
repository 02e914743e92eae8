// What SQLite and PostgreSQL have in common for the tables: prepared statements and transactions. All of it is synchronous,
// because each letter is handled in one transaction without an await.

export type Value = string | number | null | Uint8Array

export interface Statement {
  /** The first row, or undefined. */
  get(...values: readonly Value[]): unknown
  all(...values: readonly Value[]): unknown[]
  run(...values: readonly Value[]): { readonly changes: number }
  /** The same statement; from now on a row is the value of its first column. */
  pluck(): Statement
}

export interface Connection {
  /** Whether other host processes write to the same tables. Then rows that may change must not be cached. */
  readonly isShared: boolean
  readonly inTransaction: boolean
  /** Each `?` stands for a value, in order. */
  prepare(sql: string): Statement
  exec(sql: string): void
  /** Commits all of `work` or nothing. Transactions of all processes run one after the other. A nested one may fail
   *  without the outer one. */
  transaction<T>(work: () => T): T
  /** As `transaction`, but waits without blocking the thread until no other process is in a transaction. */
  turn<T>(work: () => T): Promise<T>
  /** May be called again. */
  close(): void
}
