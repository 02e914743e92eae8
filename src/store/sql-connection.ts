// What the tables ask of a database, whichever it is: rows by statements that were prepared once, and transactions. All of
// it answers at once, because the host's rules are one transaction a letter with no await inside.

export type Value = string | number | null | Uint8Array

export interface Statement {
  /** The first row, or undefined. */
  get(...values: readonly Value[]): unknown
  all(...values: readonly Value[]): unknown[]
  run(...values: readonly Value[]): { readonly changes: number }
  /** The same statement, whose rows are their first columns alone. */
  pluck(): Statement
}

export interface Connection {
  /** Whether other host processes write to the same tables: then nothing may be remembered of rows that change. */
  readonly isShared: boolean
  readonly inTransaction: boolean
  /** `?` stands for each value, in their order. */
  prepare(sql: string): Statement
  exec(sql: string): void
  /** All of `work` or nothing, one after the other for all processes. One that is nested may fail alone. */
  transaction<T>(work: () => T): T
  /** As `transaction`, begun when no other process is in one; until then this one goes on with its other work. */
  turn<T>(work: () => T): Promise<T>
  /** May be called again. */
  close(): void
}
