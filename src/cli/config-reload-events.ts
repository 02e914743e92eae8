// What a daemon tells when it has read its config again, or could not.

import { messageOf, Problem } from '../base/problem.ts'
import type { Line } from '../wording/numbers-text.ts'

export type ReloadEvent =
  /** Settings in `needsRestart` have changed, too, but stay as they were until the daemon is started again. */
  | { readonly event: 'reloaded'; readonly needsRestart: readonly string[] }
  /** It goes on as before. */
  | { readonly event: 'not-reloaded'; readonly problem: Problem }

export function notReloaded(thrown: unknown): ReloadEvent {
  const problem =
    thrown instanceof Problem
      ? thrown
      : new Problem(
          'internal',
          `The config could not be read again: ${messageOf(thrown)}.`,
          'Please report it.',
        )
  return { event: 'not-reloaded', problem }
}

export function isReloadEvent(event: { readonly event: string }): event is ReloadEvent {
  return event.event === 'reloaded' || event.event === 'not-reloaded'
}

export function describeReload(event: ReloadEvent): Line {
  if (event.event === 'not-reloaded') {
    return {
      tone: 'bad',
      text: `The config was not read again, and all stays as it was. ${event.problem.line}`,
    }
  }
  const rest =
    event.needsRestart.length > 0
      ? ` These wait until it is started again: ${event.needsRestart.join(', ')}.`
      : ''
  return { tone: event.needsRestart.length > 0 ? 'bad' : 'good', text: `The config was read again.${rest}` }
}
