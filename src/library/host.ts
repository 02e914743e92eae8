// The host of a room inside a program.

import { EventEmitter } from 'node:events'
import { Problem } from '../base/problem.ts'
import type { HostCounters } from '../host/events.ts'
import type { Host as RunningHost } from '../host/host.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { type HostSetup, inviteTo, setUpHost } from '../setup/create-host.ts'
import { readHostKeys } from '../setup/host-keys.ts'
import { emitBoth, type HostEvent, type HostEvents } from './events.ts'
import { type HostOptions, readHostOptions } from './options.ts'

/**
 * Reads a mailbox and introduces players to each other. It needs no open port. Only one host may run at a mailbox.
 *
 * Emits the events that `peerpost host --json` prints, each under its own name: `ready`, `letter`, `sent`, `unsent`,
 * `budget`, `mailbox`, `trouble`. It emits each event under `event` too. After `trouble` it goes on, except with a damaged
 * database: then it stops.
 */
export class Host extends EventEmitter<HostEvents> {
  readonly #options: HostOptions
  #read: Promise<Pick<HostSetup, 'crypto' | 'loaded' | 'keys'>> | null = null
  #host: RunningHost | null = null
  #starting: Promise<void> | null = null
  #stopping: Promise<void> | null = null

  constructor(options: HostOptions) {
    super()
    this.#options = options
  }

  /** Resolves when the host reads letters. Rejects with a Problem whose `remedy` says what to do; then nothing stays open. A
   *  host can be started only once. */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /** Finishes the current letter, gives mails that are being sent some seconds, and closes everything. Unsent mails are sent
   *  after the next start. It may be called at any time. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** Makes an invite to a room, by default to the first. It is one line and a secret: whoever has it can join. It works
   *  before `start`, too. Rejects with a Problem `usage` when there is no such room. */
  async invite(room?: string): Promise<string> {
    return inviteTo(await this.#readOnce(), room)
  }

  /** Letters and mails since the start, by kind and outcome, and how many are waiting now. Null before the start. */
  get counters(): HostCounters | null {
    return this.#host?.counters() ?? null
  }

  async #start(): Promise<void> {
    const read = await this.#readOnce()
    if (this.#stopping) return
    if (read.loaded.config.address_server.listen.length > 0) {
      throw new Problem(
        'config',
        '[address_server] is set, but a host inside a program cannot run an address server.',
        'Run `peerpost host`, or `peerpost address-server` beside the program.',
      )
    }
    const host = setUpHost({
      ...read,
      onEvent: (event) => this.#emitEvent(event),
      onNotice: (notice) => this.#emitEvent({ event: 'notice', notice }),
    })
    this.#host = host
    await host.start()
  }

  async #stop(): Promise<void> {
    await this.#host?.stop()
    // If it has failed, the caller of `start` knows.
    await this.#starting?.catch(() => {})
  }

  #emitEvent(event: HostEvent): void {
    emitBoth(this, event)
  }

  #readOnce() {
    this.#read ??= this.#readOptions()
    return this.#read
  }

  async #readOptions() {
    const crypto = await loadSodium()
    const loaded = readHostOptions(crypto, this.#options)
    return { crypto, loaded, keys: readHostKeys(crypto, loaded) }
  }
}
