// The events of reading the config again while a daemon runs.

import { messageOf, Problem } from '../base/problem.ts'
import type { Line } from '../wording/numbers-text.ts'

export type ReloadEvent =
  /** Changes of the settings in `needsRestart` take effect only after a restart. */
  | { readonly event: 'reloaded'; readonly needsRestart: readonly string[] }
  /** The daemon goes on with the old config. */
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
      text: `The config was not read again. The daemon goes on as before. ${event.problem.line}`,
    }
  }
  const rest =
    event.needsRestart.length > 0 ? ` These settings need a restart: ${event.needsRestart.join(', ')}.` : ''
  return { tone: event.needsRestart.length > 0 ? 'bad' : 'good', text: `The config was read again.${rest}` }
}
