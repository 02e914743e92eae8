// A room's host inside a program.

import { EventEmitter } from 'node:events'
import { Problem } from '../base/problem.ts'
import type { HostCounters } from '../host/events.ts'
import type { Host as InnerHost } from '../host/host.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { type HostSetup, inviteTo, setUpHost } from '../setup/create-host.ts'
import { readHostKeys } from '../setup/host-keys.ts'
import { emitBoth, type HostEvent, type HostEvents } from './events.ts'
import { type HostOptions, readHostOptions } from './options.ts'

/**
 * Watches a mailbox and introduces players to each other. It needs no open port; one runs at a mailbox at a time.
 *
 * Emits what `peerpost host --json` prints, each event under its own name: `ready`, `letter`, `sent`, `unsent`, `budget`,
 * `mailbox`, `trouble` (it goes on by itself, but for a damaged database: then it stops), and each under `event`.
 */
export class Host extends EventEmitter<HostEvents> {
  readonly #options: HostOptions
  #read: Promise<Pick<HostSetup, 'crypto' | 'loaded' | 'keys'>> | null = null
  #inner: InnerHost | null = null
  #starting: Promise<void> | null = null
  #stopping: Promise<void> | null = null

  constructor(options: HostOptions) {
    super()
    this.#options = options
  }

  /** Resolves when letters are being taken. Rejects with a Problem, whose `remedy` says what to do; then nothing stays
   *  open. Once only. */
  start(): Promise<void> {
    this.#starting ??= this.#start()
    return this.#starting
  }

  /** Finishes the letter in hand, gives mails under way some seconds, and closes everything. Nothing is lost: what was not
   *  sent is sent after the next start. May be called at any time. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stop()
    return this.#stopping
  }

  /** A new invite to a room, the first one if left out: one line, to be passed on in secret. Works before `start`, too.
   *  Rejects with a Problem `usage` when there is no such room. */
  async invite(room?: string): Promise<string> {
    return inviteTo(await this.#readOnce(), room)
  }

  /** Letters and mails since the start, by kind and outcome, and how much is waiting now; null before the start. */
  get counters(): HostCounters | null {
    return this.#inner?.counters() ?? null
  }

  async #start(): Promise<void> {
    const read = await this.#readOnce()
    if (this.#stopping) return
    if (read.loaded.config.address_server.listen.length > 0) {
      throw new Problem(
        'config',
        '[address_server] is set, but a host inside a program runs none.',
        'Run `peerpost host`, or `peerpost address-server` beside the program.',
      )
    }
    const inner = setUpHost({
      ...read,
      onEvent: (event) => this.#tell(event),
      onNotice: (notice) => this.#tell({ event: 'notice', notice }),
    })
    this.#inner = inner
    await inner.start()
  }

  async #stop(): Promise<void> {
    await this.#inner?.stop()
    // It may have failed, which its caller knows.
    await this.#starting?.catch(() => {})
  }

  #tell(event: HostEvent): void {
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
