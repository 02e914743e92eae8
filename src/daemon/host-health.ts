// A host in numbers, and whether it can do its work.

import { Problem } from '../base/problem.ts'
import type { HostStatus } from './host-schemas.ts'
import { gauge, type Metric } from './metrics.ts'

export type HostVitals = {
  readonly status: () => HostStatus
  /** Since the mailbox was last looked through with success; null before. */
  readonly scanAgeMs: () => number | null
  /** How old that may be. */
  readonly scanLimitMs: number
}

/** The database fails, it is still starting, or the mailbox was not looked through for too long. */
export function hostUnready({ status, scanAgeMs, scanLimitMs }: HostVitals): Problem | null {
  try {
    const { state, mailbox } = status()
    if (state !== 'ready') return notReady('The host is just starting.', 'Wait until it has logged in.')
    const age = scanAgeMs()
    if (age !== null && age <= scanLimitMs) return null
    const since = age === null ? 'yet' : `for ${Math.round(age / 1000)} s`
    return notReady(
      `The mailbox could not be looked through ${since}${mailbox.reason ? `: ${mailbox.reason}` : '.'}`,
      'It is tried again by itself; `peerpost doctor` tells what is wrong.',
    )
  } catch (thrown) {
    if (thrown instanceof Problem) return thrown
    throw thrown
  }
}

function notReady(message: string, remedy: string): Problem {
  return new Problem('not-ready', message, remedy)
}

export function hostMetrics({ status, scanAgeMs }: HostVitals): readonly Metric[] {
  const { letters, mails, budgets, mailbox, waitingIntroductions } = status()
  const age = scanAgeMs()
  return [
    {
      name: 'peerpost_letters_total',
      type: 'counter',
      help: 'Letters dealt with, by kind and what came of them.',
      samples: letters.map(({ kind, outcome, reason, count }) => ({
        labels: { kind, outcome, reason: reason ?? '' },
        value: count,
      })),
    },
    {
      name: 'peerpost_mails_total',
      type: 'counter',
      help: 'Attempts to send a mail, by kind and what came of them.',
      samples: mails.map(({ kind, outcome, count }) => ({ labels: { kind, outcome }, value: count })),
    },
    gauge('peerpost_table_entries', 'Agents in the table.', budgets.table.used),
    gauge('peerpost_table_capacity', 'Agents that the table can hold.', budgets.table.limit),
    gauge('peerpost_outbox_mails', 'Mails waiting to be sent.', budgets.outbox.used),
    gauge(
      'peerpost_outbox_capacity',
      'Mails that can wait; no letters are taken beyond it.',
      budgets.outbox.limit,
    ),
    gauge('peerpost_letter_ids', 'IDs of letters that are remembered.', budgets.letterIds.used),
    gauge('peerpost_letter_ids_capacity', 'IDs that can be remembered.', budgets.letterIds.limit),
    gauge('peerpost_mails_sent_in_day', 'Mails sent in the last day.', budgets.sentInDay.used),
    gauge(
      'peerpost_mails_per_day',
      'Mails that may be sent in a day; left out where any number may.',
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
      'Since the mailbox was last looked through with success.',
      age === null ? null : age / 1e3,
    ),
  ]
}
