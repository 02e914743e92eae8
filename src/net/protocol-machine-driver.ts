// Drives a protocol machine with a clock, sockets and an event listener.

import type { Clock } from '../base/clock.ts'
import type { Endpoint } from '../base/endpoint.ts'
import type { Action, Machine, Via } from '../base/protocol-machine.ts'

export interface Driver<Event> {
  /** Calls the machine and performs the resulting actions: `run((now) => punch.addTargets(now, more))`. */
  run(work: (now: number) => readonly Action<Event>[]): void
  /** Shorthand for `run` with the machine's `handleDatagram`. */
  receive(bytes: Uint8Array, from: Endpoint, via?: Via): void
  /** Shorthand for `run` with the machine's `handleSocketFailure`, if it has one. */
  socketFailed(via: Via): void
  /** No timer, action or event happens afterwards. */
  stop(): void
}

type DriveOptions<Event> = {
  readonly machine: Machine<Event>
  readonly clock: Clock
  readonly send: (bytes: Uint8Array, to: Endpoint, via: Via, ttl?: number) => void
  /** Required for machines that use more than the main socket. */
  readonly close?: (via: Via) => void
  /** May call `run` and `stop`. Actions of such a `run` are performed after the present ones. */
  readonly onEvent: (event: Event) => void
}

/** Starts at once: a machine that is due runs before this returns, and may have emitted events by then. */
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
  /** Actions still to perform. Only handlers of the present ones add to it, so it stays short. */
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
    // A game's datagram is a single action and does not need the queue.
    const [only] = actions
    const isSingle = actions.length === 1 && !this.#performing && this.#pending.length === 0
    if (!isSingle) for (const action of actions) this.#pending.push(action)
    if (this.#performing) return
    this.#performing = true
    try {
      if (isSingle && only) this.#perform(only)
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
    // Does not use `run`, because this is called for every datagram.
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
