// The metrics of a host, and whether it is ready.

import { Problem } from '../base/problem.ts'
import type { HostStatus } from './host-schemas.ts'
import { gauge, type Metric } from './metrics.ts'

export type HostVitals = {
  readonly status: () => HostStatus
  /** Time since the last successful scan of the mailbox; null before the first. */
  readonly scanAgeMs: () => number | null
  /** The maximum age at which the host is ready. */
  readonly maxScanAgeMs: number
}

/** Returns why the host is not ready, or null when it is. It is not ready while it starts, when the database fails, and when
 *  the last scan of the mailbox is too old. */
export function hostUnready({ status, scanAgeMs, maxScanAgeMs }: HostVitals): Problem | null {
  try {
    const { state, mailbox } = status()
    if (state !== 'ready') return notReadyProblem('The host is starting.', 'Wait until it has logged in.')
    const age = scanAgeMs()
    if (age !== null && age <= maxScanAgeMs) return null
    const since = age === null ? 'yet' : `for ${Math.round(age / 1000)} s`
    return notReadyProblem(
      `The mailbox could not be searched ${since}${mailbox.reason ? `: ${mailbox.reason}` : '.'}`,
      'The host tries again by itself; `peerpost doctor` finds what is wrong.',
    )
  } catch (thrown) {
    if (thrown instanceof Problem) return thrown
    throw thrown
  }
}

function notReadyProblem(message: string, remedy: string): Problem {
  return new Problem('not-ready', message, remedy)
}

export function hostMetrics({ status, scanAgeMs }: HostVitals): readonly Metric[] {
  const { letters, mails, budgets, mailbox, waitingIntroductions } = status()
  const age = scanAgeMs()
  return [
    {
      name: 'peerpost_letters_total',
      type: 'counter',
      help: 'Letters handled, by kind and outcome.',
      samples: letters.map(({ kind, outcome, reason, count }) => ({
        labels: { kind, outcome, reason: reason ?? '' },
        value: count,
      })),
    },
    {
      name: 'peerpost_mails_total',
      type: 'counter',
      help: 'Attempts to send a mail, by kind and outcome.',
      samples: mails.map(({ kind, outcome, count }) => ({ labels: { kind, outcome }, value: count })),
    },
    gauge('peerpost_table_entries', 'Agents in the table.', budgets.table.used),
    gauge('peerpost_table_capacity', 'Agents that the table can hold.', budgets.table.limit),
    gauge('peerpost_outbox_mails', 'Mails waiting to be sent.', budgets.outbox.used),
    gauge(
      'peerpost_outbox_capacity',
      'Mails that can wait; beyond it no letters are accepted.',
      budgets.outbox.limit,
    ),
    gauge('peerpost_letter_ids', 'Stored IDs of letters.', budgets.letterIds.used),
    gauge('peerpost_letter_ids_capacity', 'IDs of letters that can be stored.', budgets.letterIds.limit),
    gauge('peerpost_mails_sent_in_day', 'Mails sent in the last day.', budgets.sentInDay.used),
    gauge(
      'peerpost_mails_per_day',
      'Mails that may be sent in a day; absent without a limit.',
      budgets.sentInDay.limit,
    ),
    gauge('peerpost_introductions_waiting', 'Introductions to be made.', waitingIntroductions),
    gauge(
      'peerpost_mailbox_connected',
      'Whether the mailbox is connected.',
      mailbox.state === 'connected' ? 1 : 0,
    ),
    gauge(
      'peerpost_mailbox_scan_age_seconds',
      'Time since the last successful scan of the mailbox.',
      age === null ? null : age / 1e3,
    ),
  ]
}
