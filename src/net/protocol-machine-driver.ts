// The one loop that drives a machine on a clock.

import type { Clock } from '../base/clock.ts'
import type { Endpoint } from '../base/endpoint.ts'
import type { Action, Machine, Via } from '../base/protocol-machine.ts'

export interface Driver<Event> {
  /** Does something with the machine and performs what comes of it: `run((now) => punch.addTargets(now, more))`. */
  run(work: (now: number) => readonly Action<Event>[]): void
  /** Shorthand for `run` with the machine's `handleDatagram`. */
  receive(bytes: Uint8Array, from: Endpoint, via?: Via): void
  /** Shorthand for `run` with the machine's `handleSocketFailure`, if it has one. */
  socketFailed(via: Via): void
  /** No timer, action or event afterwards. */
  stop(): void
}

type DriveOptions<Event> = {
  readonly machine: Machine<Event>
  readonly clock: Clock
  readonly send: (bytes: Uint8Array, to: Endpoint, via: Via, ttl?: number) => void
  /** Needed by machines that use more than the main socket. */
  readonly close?: (via: Via) => void
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
  readonly #close: (via: Via) => void
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
    this.#close = options.close ?? (() => {})
    this.#onEvent = options.onEvent
  }

  start(): void {
    const due = this.#machine.nextTimeout()
    if (due !== null && due <= this.#clock.now()) this.run((now) => this.#machine.handleTimeout(now))
    else this.#arm()
  }

  run(work: (now: number) => readonly Action<Event>[]): void {
    if (!this.#stopped) this.#performAll(work(this.#clock.now()))
  }

  #performAll(actions: readonly Action<Event>[]): void {
    // A datagram of a game is one action: it is not worth a queue.
    const [only] = actions
    const isAlone = actions.length === 1 && !this.#performing && this.#pending.length === 0
    if (!isAlone) for (const action of actions) this.#pending.push(action)
    if (this.#performing) return
    this.#performing = true
    try {
      if (isAlone && only) this.#perform(only)
      while (!this.#stopped) {
        const action = this.#pending.shift()
        if (!action) break
        this.#perform(action)
      }
    } finally {
      this.#performing = false
      this.#arm()
    }
  }

  #perform(action: Action<Event>): void {
    switch (action.type) {
      case 'send':
        this.#send(action.bytes, action.to, action.via ?? 0, action.ttl)
        return
      case 'close':
        this.#close(action.via)
        return
      case 'event':
        this.#onEvent(action.event)
        return
    }
  }

  receive(bytes: Uint8Array, from: Endpoint, via: Via = 0): void {
    // Without `run`, as there are many.
    if (!this.#stopped) this.#performAll(this.#machine.handleDatagram(this.#clock.now(), bytes, from, via))
  }

  socketFailed(via: Via): void {
    this.run((now) => this.#machine.handleSocketFailure?.(now, via) ?? [])
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
