// Events over HTTP as server-sent events (WHATWG HTML §9.2). A stream holds no events of its own, only how far it
// came in the log: whoever reads slowly costs no memory, and is told how many it missed.

import type { Clock } from '../base/clock.ts'
import type { EventLog, LoggedEvent } from '../daemon/event-log.ts'
import type { Line } from '../wording/numbers-text.ts'

export type EventStreamsOptions = {
  readonly clock: Clock
  readonly log: EventLog
  readonly describe: (event: object) => Line | null
}

/** Open at once. */
const maxStreams = 16
/** Events written at a time. */
const batch = 32
/** A line that means nothing, so that either side notices when the other is gone. */
const heartbeatMs = 15_000
/** For browsers, before they connect again. */
const retryMs = 2_000

export class EventStreams {
  readonly #options: EventStreamsOptions
  readonly #open = new Set<() => void>()
  #closed = false

  constructor(options: EventStreamsOptions) {
    this.#options = options
  }

  /** Everything kept after `place`; null when too many are open. `withWords` adds the sentence for a person. */
  open(place: string | undefined, withWords: boolean): ReadableStream<Uint8Array> | null {
    if (this.#closed || this.#open.size >= maxStreams) return null
    const { log } = this.#options
    const encoder = new TextEncoder()
    let cursor = log.numberOf(place)
    let isOver = false
    let wake = () => {}
    const end = () => {
      isOver = true
      this.#open.delete(end)
      wake()
    }
    this.#open.add(end)
    const next = (): string => {
      const { events, missed } = log.after(cursor, batch)
      cursor = events.at(-1)?.number ?? cursor
      const gap = missed > 0 && events[0] ? [this.#gap(missed, events[0])] : []
      return [...gap, ...events.map((event) => this.#frame(event, withWords))].join('')
    }
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => controller.enqueue(encoder.encode(`retry: ${retryMs}\n\n`)),
        pull: async (controller) => {
          let text = next()
          if (text === '' && !isOver) {
            const isNews = await this.#news((ring) => {
              wake = ring
            })
            text = isNews ? next() : ':\n\n'
          }
          if (isOver) controller.close()
          else controller.enqueue(encoder.encode(text))
        },
        cancel: end,
      },
      { highWaterMark: 1 },
    )
  }

  close(): void {
    this.#closed = true
    for (const end of [...this.#open]) end()
  }

  /** Resolves true when there may be an event or the end was rung, false when it is time for a heartbeat. */
  #news(onRing: (ring: () => void) => void): Promise<boolean> {
    const { log, clock } = this.#options
    return new Promise((resolve) => {
      const settle = (isNews: boolean) => {
        cancel()
        ignore()
        resolve(isNews)
      }
      const cancel = clock.after(heartbeatMs, () => settle(false))
      const ignore = log.listen(() => settle(true))
      onRing(() => settle(true))
    })
  }

  #gap(missed: number, next: LoggedEvent): string {
    const { at } = JSON.parse(next.json) as { readonly at?: string }
    return `data: ${JSON.stringify({ event: 'missed', at, count: missed })}\n\n`
  }

  #frame({ number, json }: LoggedEvent, withWords: boolean): string {
    const { log, describe } = this.#options
    const event = JSON.parse(json) as object
    const data = withWords ? JSON.stringify({ ...event, words: describe(event) }) : json
    return `id: ${log.idOf(number)}\ndata: ${data}\n\n`
  }
}
