// Sends events as server-sent events (WHATWG HTML §9.2). A stream stores no events, only its position in the event log. So a
// slow reader costs no memory. It is sent the number of events that it missed.

import type { Clock } from '../base/clock.ts'
import type { EventLog, LoggedEvent } from '../daemon/event-log.ts'
import type { Line } from '../wording/numbers-text.ts'

export type EventStreamsOptions = {
  readonly clock: Clock
  readonly log: EventLog
  readonly describe: (event: object) => Line | null
}

/** The maximum number of open streams. */
const maxStreams = 16
/** Events written at a time. */
const batch = 32
/** The interval of comment lines. They show each side whether the other one is still there. */
const heartbeatMs = 15_000
/** How long browsers wait before they connect again. */
const retryMs = 2_000

export class EventStreams {
  readonly #options: EventStreamsOptions
  readonly #open = new Set<() => void>()
  #closed = false

  constructor(options: EventStreamsOptions) {
    this.#options = options
  }

  /** Sends the stored events after `lastEventId`, then new ones. Null when too many streams are open. `withWords` adds a
   *  sentence for people to each event. */
  open(lastEventId: string | undefined, withWords: boolean): ReadableStream<Uint8Array> | null {
    if (this.#closed || this.#open.size >= maxStreams) return null
    const { log } = this.#options
    const encoder = new TextEncoder()
    let cursor = log.numberOf(lastEventId)
    let isEnded = false
    let wake = () => {}
    const end = () => {
      isEnded = true
      this.#open.delete(end)
      wake()
    }
    this.#open.add(end)
    const next = (): string => {
      const { events, missed } = log.after(cursor, batch)
      cursor = events.at(-1)?.number ?? cursor
      const missedFrames = missed > 0 && events[0] ? [this.#missedFrame(missed, events[0])] : []
      return [...missedFrames, ...events.map((event) => this.#frame(event, withWords))].join('')
    }
    return new ReadableStream<Uint8Array>(
      {
        start: (controller) => controller.enqueue(encoder.encode(`retry: ${retryMs}\n\n`)),
        pull: async (controller) => {
          let text = next()
          if (text === '' && !isEnded) {
            const hasEvent = await this.#waitForEvent((waker) => {
              wake = waker
            })
            text = hasEvent ? next() : ':\n\n'
          }
          if (isEnded) controller.close()
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

  /** Resolves to true when there may be an event, or the stream ends. Resolves to false when a heartbeat is due. */
  #waitForEvent(onWaker: (waker: () => void) => void): Promise<boolean> {
    const { log, clock } = this.#options
    return new Promise((resolve) => {
      const settle = (hasEvent: boolean) => {
        cancel()
        unlisten()
        resolve(hasEvent)
      }
      const cancel = clock.after(heartbeatMs, () => settle(false))
      const unlisten = log.listen(() => settle(true))
      onWaker(() => settle(true))
    })
  }

  #missedFrame(missed: number, next: LoggedEvent): string {
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
