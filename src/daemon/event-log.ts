// The latest events of a daemon, for clients that connect, or connect again, later.

export type LoggedEvent = {
  /** Counts from 1, without gaps. */
  readonly number: number
  /** One line, as `--json` prints it. */
  readonly json: string
}

export type EventBatch = {
  readonly events: readonly LoggedEvent[]
  /** The number of events after the requested one that are no longer stored. */
  readonly missed: number
}

/** Beyond either limit the oldest events are removed. */
export const maxEvents = 256
export const maxCharacters = 256 * 1024

export class EventLog {
  /** Names this run of the daemon. Event numbers are valid only within one run. */
  readonly #run: string
  #events: LoggedEvent[] = []
  #characters = 0
  #count = 0
  readonly #listeners = new Set<() => void>()

  /** `run` is a short text without a dash. */
  constructor(run: string) {
    this.#run = run
  }

  add(event: object): void {
    const json = JSON.stringify(event)
    this.#count++
    this.#events.push({ number: this.#count, json })
    this.#characters += json.length
    while (this.#events.length > maxEvents || this.#characters > maxCharacters) {
      this.#characters -= this.#events.shift()?.json.length ?? 0
    }
    for (const wake of [...this.#listeners]) wake()
  }

  /** Returns the stored events after this number: the oldest `limit` of them. */
  after(number: number, limit = maxEvents): EventBatch {
    const oldest = this.#events[0]?.number ?? this.#count + 1
    const start = Math.max(0, number + 1 - oldest)
    return {
      events: this.#events.slice(start, start + limit),
      missed: Math.max(0, oldest - 1 - number),
    }
  }

  /** The ID of an event, which a client sends back as Last-Event-ID. */
  idOf(number: number): string {
    return `${this.#run}-${number}`
  }

  /** The number of the event with this ID. 0, which is before all events, for an ID of another run or an invalid one. */
  numberOf(id: string | undefined): number {
    const [run, digits = ''] = (id ?? '').split('-')
    const number = /^[0-9]{1,15}$/.test(digits) ? Number(digits) : 0
    return run === this.#run && number <= this.#count ? number : 0
  }

  /** Calls `wake` after every event until the returned function is called. */
  listen(wake: () => void): () => void {
    this.#listeners.add(wake)
    return () => void this.#listeners.delete(wake)
  }
}
