// The host that a command runs, and the next one when its config is read again. Hosts lose nothing when they stop: so
// a new one is put in the place of the old, and every setting of it can change.

import type { Crypto } from '../base/crypto.ts'
import type { Problem } from '../base/problem.ts'
import { changedSettings } from '../config/changed-settings.ts'
import type { HostConfig } from '../config/config-schema.ts'
import { type Loaded, loadHostConfig } from '../config/load-config.ts'
import { HostControl } from '../daemon/host-control.ts'
import { defaultHostSettings, type Host, type HostEvent } from '../host/host.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { type HostSetup, hostSettings, setUpHost } from '../setup/create-host.ts'
import { createHostAdmin } from '../setup/host-admin.ts'
import { type HostKeys, readHostKeys } from '../setup/host-keys.ts'
import { openMail } from '../setup/open-mail.ts'
import { notReloaded, type ReloadEvent } from './config-reload-events.ts'

export type HostDaemonOptions = {
  readonly crypto: Crypto
  readonly configFile: string
  readonly environment: Readonly<Record<string, string | undefined>>
  readonly loaded: Loaded<HostConfig>
  readonly report: (event: HostEvent | ReloadEvent) => void
  readonly onNotice: (notice: string) => void
  readonly localAgent?: HostSetup['localAgent']
}

/** Sections that belong to the command and not to the host. */
const needRestart = /^(?:control|address_server|log)\./
/** Sweeps that may fail, or take so long, before the host counts as not ready. */
const scanSweeps = 3

type Made = { readonly loaded: Loaded<HostConfig>; readonly keys: HostKeys; readonly host: Host }

export class HostDaemon {
  readonly control: HostControl
  /** Rejects when the host has stopped because it can do nothing any more until a person has acted. */
  readonly failed: Promise<never>
  readonly #fail: (problem: Problem) => void
  readonly #options: HostDaemonOptions
  #made: Made
  #stopped = false
  #starting: Promise<void> = Promise.resolve()
  #reloading: Promise<void> = Promise.resolve()

  /** Nothing is open yet. Throws a Problem for what cannot work. */
  constructor(options: HostDaemonOptions) {
    this.#options = options
    const { promise, reject } = Promise.withResolvers<never>()
    // Where nobody waits for it, an event told the same.
    promise.catch(() => undefined)
    this.failed = promise
    this.#fail = reject
    this.#made = this.#make(options.loaded)
    this.control = new HostControl({ clock: systemClock, ...viewOf(options.crypto, this.#made) })
  }

  start(): Promise<void> {
    this.#starting = this.#made.host.start()
    return this.#starting
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#made.host.stop()
    await this.#reloading
  }

  /** Tells what came of it. Rejects only when no host runs any more: the new one failed, and so did the old. */
  reload(): Promise<void> {
    this.#reloading = this.#reload()
    return this.#reloading
  }

  async #reload(): Promise<void> {
    await this.#starting
    const { report, configFile, environment } = this.#options
    const before = this.#made
    try {
      const next = this.#make(loadHostConfig(configFile, environment))
      await this.#tryMail(next)
      await this.#replace(next)
      const changed = changedSettings(before.loaded.config, next.loaded.config)
      report({ event: 'reloaded', needsRestart: changed.filter((path) => needRestart.test(path)) })
    } catch (thrown) {
      if (!this.#stopped && this.#made !== before) await this.#replace(this.#make(before.loaded))
      report(notReloaded(thrown))
    }
  }

  #make(loaded: Loaded<HostConfig>): Made {
    const { crypto, report, onNotice, localAgent } = this.#options
    const keys = readHostKeys(crypto, loaded)
    const onEvent = (event: HostEvent) => {
      this.control.handleEvent(event)
      report(event)
    }
    const host = setUpHost({
      crypto,
      loaded,
      keys,
      onEvent,
      onNotice,
      onFailed: this.#fail,
      ...(localAgent && { localAgent }),
    })
    return { loaded, keys, host }
  }

  /** Before the running host is stopped: whether the new servers let us in. */
  async #tryMail({ loaded: { config, path } }: Made): Promise<void> {
    // The agent's, which stays.
    if (this.#options.localAgent) return
    const filter = { subject: config.mail.subject, address: config.address }
    const { mailbox, sender } = openMail(config.mail, path, filter, () => {})
    try {
      await mailbox.open()
      await sender.verify()
    } finally {
      await Promise.allSettled([mailbox.close(), sender.close()])
    }
  }

  async #replace(next: Made): Promise<void> {
    await this.#made.host.stop()
    if (this.#stopped) return
    this.#made = next
    this.control.replaceHost(viewOf(this.#options.crypto, next))
    await next.host.start()
  }
}

function viewOf(crypto: Crypto, { loaded, keys, host }: Made) {
  const { config } = loaded
  return {
    host,
    address: config.address,
    rooms: keys.rooms.map(({ name }) => name),
    settings: { ...defaultHostSettings, ...hostSettings(config) },
    maxScanAgeMs: scanSweeps * config.letters.sweep,
    admin: createHostAdmin({ crypto, loaded, keys }, systemClock.wallNow),
  }
}
