// SQL statements for several rows at once, because each statement is a round trip to PostgreSQL.

import type { Statement } from './sql-connection.ts'

/** The most rows in one statement. */
export const mostRows = 16

/** Prepares a statement for each number of rows when it is first needed. */
export function byCount(make: (count: number) => Statement): (count: number) => Statement {
  const prepared = new Map<number, Statement>()
  return (count) => {
    const statement = prepared.get(count) ?? make(count)
    prepared.set(count, statement)
    return statement
  }
}

/** Repeats `sql` `count` times, joined by `separator`. */
export function repeat(count: number, sql: string, separator = ', '): string {
  return Array(count).fill(sql).join(separator)
}
