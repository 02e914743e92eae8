// The host that runs in the same program as an agent (A15): its daemon, its control API and its events.

import { hostRoutes } from '../api/host-routes.ts'
import { loadHostConfig } from '../config/load-config.ts'
import type { HostEvent } from '../host/host.ts'
import { systemClock } from '../runtime/system-clock.ts'
import type { HostSetup } from '../setup/create-host.ts'
import type { HostFolder } from '../setup/manage-invites.ts'
import { describeHostEvent } from '../wording/event-text.ts'
import type { Line } from '../wording/numbers-text.ts'
import { describeReload, isReloadEvent, type ReloadEvent } from './config-reload-events.ts'
import { prepareControl } from './daemon-api.ts'
import { HostDaemon } from './host-daemon.ts'

export type EmbeddedHostEvent = (HostEvent | ReloadEvent) & { readonly role: 'host' }

export type EmbeddedHostOptions = HostFolder & {
  readonly configFile: string
  readonly json: boolean | undefined
  readonly localAgent: HostSetup['localAgent'] | null
  readonly report: (event: EmbeddedHostEvent) => void
  readonly onNotice: (notice: string) => void
}

export type EmbeddedHost = {
  /** Adds an event of the host, as it is printed, to its event log. */
  readonly record: (printed: object) => void
  readonly start: () => Promise<void>
  readonly stop: () => Promise<void>
  readonly reload: () => Promise<void>
}

/** Environment variables apply to the agent only, as one variable cannot mean both. */
export function loadEmbeddedHost(file: string) {
  return loadHostConfig(file, {})
}

/** Opens nothing. Throws a Problem for settings that cannot work. */
export function prepareEmbeddedHost(options: EmbeddedHostOptions): EmbeddedHost {
  const { crypto, loaded, configFile, json, localAgent, onNotice } = options
  const control = prepareControl({
    clock: systemClock,
    crypto,
    settings: loaded.config.control,
    path: loaded.path,
    configFile,
    json,
    isMasked: true,
    describe: (event) => describeEmbeddedHost(event as EmbeddedHostEvent),
  })
  const report = (event: HostEvent | ReloadEvent) => options.report({ ...event, role: 'host' })
  const daemon = new HostDaemon({
    crypto,
    configFile,
    environment: {},
    loaded,
    report,
    onNotice,
    ...(localAgent && { localAgent }),
  })
  let close = async () => {}
  return {
    record: control.record,
    start: async () => {
      const server = await control.start(hostRoutes(daemon.control))
      close = async () => server?.close()
      await daemon.start()
    },
    stop: async () => {
      await daemon.stop()
      await close()
    },
    reload: () => daemon.reload(),
  }
}

export function isEmbeddedHostEvent(event: object): event is EmbeddedHostEvent {
  return 'role' in event && event.role === 'host'
}

export function describeEmbeddedHost(event: EmbeddedHostEvent): Line | null {
  const line = isReloadEvent(event) ? describeReload(event) : describeHostEvent(event)
  return line && { ...line, text: `Host: ${line.text}` }
}
