// What becomes of trouble in a running host. Trouble with the database is a Problem 'database', which is emitted, and the work
// is done again later. A fault of our own code is a Problem 'internal'.

import { messageOf, Problem } from '../base/problem.ts'
import { databaseProblem, type HostDatabase } from '../store/host-database.ts'
import type { HostContext } from './context.ts'

/** Whatever the database throws comes out as a Problem 'database', so that it is not taken for a bad letter. */
export function withDatabase<T>(database: HostDatabase, work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw databaseProblem(database.path, thrown)
  }
}

/** As `withDatabase`, in a transaction that waits for those of other processes without keeping ours from its work. */
export async function withDatabaseTurn<T>(database: HostDatabase, work: () => T): Promise<T> {
  try {
    return await database.asyncTransaction(work)
  } catch (thrown) {
    throw databaseProblem(database.path, thrown)
  }
}

/** As `withDatabase`, but a Problem is emitted. Null then. */
export function tryDatabase<T>(
  context: Pick<HostContext, 'emit'>,
  database: HostDatabase,
  work: () => T,
): T | null {
  try {
    return withDatabase(database, work)
  } catch (thrown) {
    emitTrouble(context, thrown)
    return null
  }
}

/** Emits a Problem; whatever else was thrown is thrown on. */
export function emitTrouble({ emit }: Pick<HostContext, 'emit'>, thrown: unknown): void {
  if (!(thrown instanceof Problem)) throw thrown
  emit({ event: 'trouble', problem: thrown })
}

/** For what should never be thrown; `what` begins the sentence. */
export function internalProblem(what: string, thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  return new Problem(
    'internal',
    `${what} could not be handled: ${messageOf(thrown)}.`,
    'Please report this.',
    { cause: thrown },
  )
}
