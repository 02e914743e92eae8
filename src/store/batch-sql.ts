// Statements over a list of rows: with PostgreSQL each statement is a round trip, so one for many rows is worth more than
// one for each.

import type { Statement } from './sql-connection.ts'

/** Rows in one statement, at most. */
export const mostRows = 16

/** One statement for each number of rows, made when it is first needed. */
export function forCount(make: (count: number) => Statement): (count: number) => Statement {
  const made = new Map<number, Statement>()
  return (count) => {
    const statement = made.get(count) ?? make(count)
    made.set(count, statement)
    return statement
  }
}

/** `part` so many times, as SQL. */
export function times(count: number, part: string, between = ', '): string {
  return Array(count).fill(part).join(between)
}
