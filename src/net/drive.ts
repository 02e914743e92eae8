// The one loop that drives a machine on a clock.

import type { Clock } from '../base/clock.ts'
import type { Endpoint } from '../base/endpoint.ts'
import type { Action, Machine } from '../base/machine.ts'

export interface Driver<Event> {
  /** Does something with the machine and performs what comes of it: `run((now) => punch.addTargets(now, more))`. */
  run(work: (now: number) => readonly Action<Event>[]): void
  /** Shorthand for `run` with the machine's `handleDatagram`. */
  receive(bytes: Uint8Array, from: Endpoint): void
  /** No timer, action or event afterwards. */
  stop(): void
}

export type DriveOptions<Event> = {
  readonly machine: Machine<Event>
  readonly clock: Clock
  readonly send: (bytes: Uint8Array, to: Endpoint) => void
  /** May call `run` and `stop`; what `run` brings is performed after the present actions. */
  readonly onEvent: (event: Event) => void
}

/** Starts at once: a machine that is due is run before this returns. */
export function drive<Event>(_options: DriveOptions<Event>): Driver<Event> {
  throw new Error('not built yet')
}
