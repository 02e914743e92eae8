// Counts what a host tells, under names that metrics can use.

import type { Counts } from '../table/database.ts'
import type { HostCounters, HostEvent } from './events.ts'

/** Bounded by the closed lists of kinds, outcomes and reasons. */
type Tallies = Record<string, number>

const nothing: Counts = { entries: 0, seenLetters: 0, mails: 0, introductions: 0 }

export class Tally {
  readonly #letters: Tallies = {}
  readonly #mails: Tallies = {}
  #last: Counts = nothing

  count(event: HostEvent): void {
    if (event.event === 'letter') {
      const reason = event.outcome === 'dropped' ? ` ${event.reason}` : ''
      increase(this.#letters, `${event.kind} ${event.outcome}${reason}`)
    }
    if (event.event === 'sent') increase(this.#mails, `${event.kind} sent`)
    if (event.event === 'unsent') increase(this.#mails, `${event.kind} ${event.outcome}`)
  }

  /** The database is about to close: these are its last counts. */
  freeze(counts: Counts): void {
    this.#last = counts
  }

  counters(counts: Counts | null): HostCounters {
    const { entries, seenLetters, mails, introductions } = counts ?? this.#last
    return {
      letters: { ...this.#letters },
      mails: { ...this.#mails },
      entries,
      waitingMails: mails,
      waitingIntroductions: introductions,
      seenLetters,
    }
  }
}

function increase(tallies: Tallies, name: string): void {
  tallies[name] = (tallies[name] ?? 0) + 1
}
