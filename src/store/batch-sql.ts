// Statements for several rows at once, because each statement is a round trip to PostgreSQL.

import type { Statement } from './sql-connection.ts'

/** The most rows in one statement. */
export const mostRows = 16

/** Prepares one statement for each number of rows, when it is first needed. */
export function forCount(make: (count: number) => Statement): (count: number) => Statement {
  const made = new Map<number, Statement>()
  return (count) => {
    const statement = made.get(count) ?? make(count)
    made.set(count, statement)
    return statement
  }
}

/** `part` `count` times, joined by `between`. */
export function times(count: number, part: string, between = ', '): string {
  return Array(count).fill(part).join(between)
}
