// The latest events of a daemon, for whoever looks in or comes back after a break.

export type LoggedEvent = {
  /** From 1, without gaps. */
  readonly number: number
  /** The object as `--json` prints it, on one line. */
  readonly json: string
}

export type Catch = {
  readonly events: readonly LoggedEvent[]
  /** Told after the place asked for, and forgotten meanwhile. */
  readonly missed: number
}

/** Beyond either the oldest go. */
export const mostEvents = 256
export const mostCharacters = 256 * 1024

export class EventLog {
  /** Of this run of the daemon: its numbers mean nothing in another. */
  readonly #run: string
  #events: LoggedEvent[] = []
  #characters = 0
  #count = 0
  readonly #waiting = new Set<() => void>()

  /** `run` is a short word without a dash. */
  constructor(run: string) {
    this.#run = run
  }

  add(told: object): void {
    const json = JSON.stringify(told)
    this.#count++
    this.#events.push({ number: this.#count, json })
    this.#characters += json.length
    while (this.#events.length > mostEvents || this.#characters > mostCharacters) {
      this.#characters -= this.#events.shift()?.json.length ?? 0
    }
    for (const wake of [...this.#waiting]) wake()
  }

  /** The oldest kept events after this number, at most `limit`. */
  after(number: number, limit = mostEvents): Catch {
    const oldest = this.#events[0]?.number ?? this.#count + 1
    const start = Math.max(0, number + 1 - oldest)
    return {
      events: this.#events.slice(start, start + limit),
      missed: Math.max(0, oldest - 1 - number),
    }
  }

  /** What a client brings back to say how far it came. */
  placeOf(number: number): string {
    return `${this.#run}-${number}`
  }

  /** 0, which is before everything, for a place of another run or none at all. */
  numberAt(place: string | undefined): number {
    const [run, digits = ''] = (place ?? '').split('-')
    const number = /^[0-9]{1,15}$/.test(digits) ? Number(digits) : 0
    return run === this.#run && number <= this.#count ? number : 0
  }

  /** `wake` is called after every event; the returned function ends that. */
  listen(wake: () => void): () => void {
    this.#waiting.add(wake)
    return () => void this.#waiting.delete(wake)
  }
}
