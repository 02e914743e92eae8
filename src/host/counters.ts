// Counts the events of a host, under names that metrics can use.

import type { Counts } from '../store/host-database.ts'
import type { HostCounters, HostEvent } from './events.ts'

/** Bounded: kinds, outcomes and reasons are closed lists. */
type NamedCounts = Record<string, number>

/** Current sizes, read from the database. */
export type Gauges = Counts & Pick<HostCounters, 'sentInDay'>

const nothing: Gauges = { entries: 0, seenLetters: 0, mails: 0, introductions: 0, sentInDay: 0 }

export class Counters {
  readonly #letters: NamedCounts = {}
  readonly #mails: NamedCounts = {}
  #last: Gauges = nothing

  count(event: HostEvent): void {
    if (event.event === 'letter') {
      const reason = event.outcome === 'dropped' ? ` ${event.reason}` : ''
      increase(this.#letters, `${event.kind} ${event.outcome}${reason}`)
    }
    if (event.event === 'sent') increase(this.#mails, `${event.kind} sent`)
    if (event.event === 'unsent') increase(this.#mails, `${event.kind} ${event.outcome}`)
  }

  /** Keeps the last sizes, as the database is about to close. */
  freeze(counts: Gauges): void {
    this.#last = counts
  }

  counters(counts: Gauges | null): HostCounters {
    const { entries, seenLetters, mails, introductions, sentInDay } = counts ?? this.#last
    return {
      letters: { ...this.#letters },
      mails: { ...this.#mails },
      entries,
      waitingMails: mails,
      waitingIntroductions: introductions,
      seenLetters,
      sentInDay,
    }
  }
}

function increase(counts: NamedCounts, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1
}
