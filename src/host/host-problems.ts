// How a running host reports failures. A failure of the database becomes a Problem 'database': it is emitted, and the work is
// done again later. A fault in our own code becomes a Problem 'internal'.

import { messageOf, Problem } from '../base/problem.ts'
import { databaseProblem, type HostDatabase } from '../store/host-database.ts'
import type { HostContext } from './context.ts'

/** Throws a Problem 'database' for whatever `work` throws, so that no database failure looks like a bad letter. */
export function withDatabase<T>(database: HostDatabase, work: () => T): T {
  try {
    return work()
  } catch (thrown) {
    throw databaseProblem(database.path, thrown)
  }
}

/** Like `withDatabase`, in a transaction. While it waits for transactions of other processes, this process goes on. */
export async function withAsyncTransaction<T>(database: HostDatabase, work: () => T): Promise<T> {
  try {
    return await database.asyncTransaction(work)
  } catch (thrown) {
    throw databaseProblem(database.path, thrown)
  }
}

/** Like `withDatabase`, but emits the Problem and returns null. */
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

/** Emits a Problem. Throws anything else again. */
export function emitTrouble({ emit }: Pick<HostContext, 'emit'>, thrown: unknown): void {
  if (!(thrown instanceof Problem)) throw thrown
  emit({ event: 'trouble', problem: thrown })
}

/** For errors that only a fault of ours can cause. `what` is the subject of the message. */
export function internalProblem(what: string, thrown: unknown): Problem {
  if (thrown instanceof Problem) return thrown
  return new Problem(
    'internal',
    `${what} could not be handled: ${messageOf(thrown)}.`,
    'Please report this.',
    { cause: thrown },
  )
}
