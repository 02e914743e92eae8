// Counts the events of a host, under names that metrics can use.

import type { Counts } from '../store/host-database.ts'
import type { HostCounters, HostEvent } from './events.ts'

/** Bounded by the closed lists of kinds, outcomes and reasons. */
type NamedCounts = Record<string, number>

/** How full the host's memory is. */
export type Levels = Counts & Pick<HostCounters, 'sentInDay'>

const nothing: Levels = { entries: 0, seenLetters: 0, mails: 0, introductions: 0, sentInDay: 0 }

export class Counters {
  readonly #letters: NamedCounts = {}
  readonly #mails: NamedCounts = {}
  #last: Levels = nothing

  count(event: HostEvent): void {
    if (event.event === 'letter') {
      const reason = event.outcome === 'dropped' ? ` ${event.reason}` : ''
      increase(this.#letters, `${event.kind} ${event.outcome}${reason}`)
    }
    if (event.event === 'sent') increase(this.#mails, `${event.kind} sent`)
    if (event.event === 'unsent') increase(this.#mails, `${event.kind} ${event.outcome}`)
  }

  /** The database is about to close: these are its last counts. */
  freeze(counts: Levels): void {
    this.#last = counts
  }

  counters(counts: Levels | null): HostCounters {
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
