// Runs a host, and replaces it with a new one when the config is read again. A host loses nothing when it stops, so every
// setting can change this way.

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
/** The host is not ready when the last successful scan is older than this many sweep intervals. */
const maxScanSweeps = 3

type CreatedHost = { readonly loaded: Loaded<HostConfig>; readonly keys: HostKeys; readonly host: Host }

export class HostDaemon {
  readonly control: HostControl
  /** Rejects when the host has stopped because of a problem that only a person can solve. */
  readonly failed: Promise<never>
  readonly #fail: (problem: Problem) => void
  readonly #options: HostDaemonOptions
  #current: CreatedHost
  #stopped = false
  #starting: Promise<void> = Promise.resolve()
  #reloading: Promise<void> = Promise.resolve()

  /** Opens nothing. Throws a Problem for settings that cannot work. */
  constructor(options: HostDaemonOptions) {
    this.#options = options
    const { promise, reject } = Promise.withResolvers<never>()
    // Not every owner waits for `failed`. The host also emits an event.
    promise.catch(() => undefined)
    this.failed = promise
    this.#fail = reject
    this.#current = this.#create(options.loaded)
    this.control = new HostControl({ clock: systemClock, ...controlOptions(options.crypto, this.#current) })
  }

  start(): Promise<void> {
    this.#starting = this.#current.host.start()
    return this.#starting
  }

  async stop(): Promise<void> {
    this.#stopped = true
    await this.#current.host.stop()
    await this.#reloading
  }

  /** Reads the config again and emits the outcome. Rejects only when the new host failed and the old one cannot start again. */
  reload(): Promise<void> {
    this.#reloading = this.#reload()
    return this.#reloading
  }

  async #reload(): Promise<void> {
    await this.#starting
    const { report, configFile, environment } = this.#options
    const before = this.#current
    try {
      const next = this.#create(loadHostConfig(configFile, environment))
      await this.#testMail(next)
      await this.#replace(next)
      const changed = changedSettings(before.loaded.config, next.loaded.config)
      report({ event: 'reloaded', needsRestart: changed.filter((path) => needRestart.test(path)) })
    } catch (thrown) {
      if (!this.#stopped && this.#current !== before) await this.#replace(this.#create(before.loaded))
      report(notReloaded(thrown))
    }
  }

  #create(loaded: Loaded<HostConfig>): CreatedHost {
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

  /** Logs in at the new mail servers before the running host is stopped. */
  async #testMail({ loaded: { config, path } }: CreatedHost): Promise<void> {
    // The host uses the agent's mailbox, which does not change.
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

  async #replace(next: CreatedHost): Promise<void> {
    await this.#current.host.stop()
    if (this.#stopped) return
    this.#current = next
    this.control.replaceHost(controlOptions(this.#options.crypto, next))
    await next.host.start()
  }
}

function controlOptions(crypto: Crypto, { loaded, keys, host }: CreatedHost) {
  const { config } = loaded
  return {
    host,
    address: config.address,
    rooms: keys.rooms.map(({ name }) => name),
    settings: { ...defaultHostSettings, ...hostSettings(config) },
    maxScanAgeMs: maxScanSweeps * config.letters.sweep,
    admin: createHostAdmin({ crypto, loaded, keys }, systemClock.wallNow),
  }
}
