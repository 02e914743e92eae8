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

/** Starts at once: a machine that is due is run before this returns, and may have spoken by then. */
export function drive<Event>(options: DriveOptions<Event>): Driver<Event> {
  const driver = new MachineDriver(options)
  driver.start()
  return driver
}

class MachineDriver<Event> implements Driver<Event> {
  readonly #machine: Machine<Event>
  readonly #clock: Clock
  readonly #send: DriveOptions<Event>['send']
  readonly #onEvent: DriveOptions<Event>['onEvent']
  /** Actions still to perform; only handlers of the present ones add to it, so it stays short. */
  readonly #pending: Action<Event>[] = []
  #performing = false
  #stopped = false
  #armedFor: number | null = null
  #disarm: (() => void) | null = null

  constructor(options: DriveOptions<Event>) {
    this.#machine = options.machine
    this.#clock = options.clock
    this.#send = options.send
    this.#onEvent = options.onEvent
  }

  start(): void {
    const due = this.#machine.nextTimeout()
    if (due !== null && due <= this.#clock.now()) this.run((now) => this.#machine.handleTimeout(now))
    else this.#arm()
  }

  run(work: (now: number) => readonly Action<Event>[]): void {
    if (this.#stopped) return
    this.#pending.push(...work(this.#clock.now()))
    if (this.#performing) return
    this.#performing = true
    try {
      for (let action = this.#pending.shift(); action && !this.#stopped; action = this.#pending.shift()) {
        if (action.type === 'send') this.#send(action.bytes, action.to)
        else this.#onEvent(action.event)
      }
    } finally {
      this.#performing = false
      this.#arm()
    }
  }

  receive(bytes: Uint8Array, from: Endpoint): void {
    this.run((now) => this.#machine.handleDatagram(now, bytes, from))
  }

  stop(): void {
    this.#stopped = true
    this.#pending.length = 0
    this.#arm()
  }

  #arm(): void {
    const due = this.#stopped ? null : this.#machine.nextTimeout()
    if (due === this.#armedFor) return
    this.#disarm?.()
    this.#disarm = null
    this.#armedFor = due
    if (due === null) return
    this.#disarm = this.#clock.after(due - this.#clock.now(), () => {
      this.#disarm = null
      this.#armedFor = null
      this.run((now) => this.#machine.handleTimeout(now))
    })
  }
}
