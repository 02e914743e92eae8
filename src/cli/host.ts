// `peerpost host`: the daemon at the mailbox.

import { hostRoutes } from '../api/host-routes.ts'
import { loadHostConfig } from '../config/load-config.ts'
import type { HostEvent } from '../host/host.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { systemClock } from '../runtime/system-clock.ts'
import type { AddressServer } from '../stun-server/stun-server.ts'
import { describeHostEvent } from '../wording/event-text.ts'
import type { Line } from '../wording/numbers-text.ts'
import { describeAddressServerEvent, type HostedEvent, openHostedServer } from './address-server.ts'
import { describeReload, isReloadEvent, type ReloadEvent } from './config-reload-events.ts'
import { prepareControl } from './daemon-api.ts'
import { HostDaemon } from './host-daemon.ts'
import { openLog } from './log.ts'
import { createReporter } from './output.ts'
import { untilStopped } from './shutdown.ts'
import { reloadOnHangUp, serviceManager } from './systemd-service.ts'

export type HostCommandOptions = {
  readonly config: string
  readonly json?: boolean
  /** Print nothing to standard output. */
  readonly quiet?: boolean
}

export async function runHost(options: HostCommandOptions): Promise<void> {
  const shutdown = untilStopped()
  const { stopped } = shutdown
  const crypto = await loadSodium()
  const loaded = loadHostConfig(options.config, process.env)
  const { config, path } = loaded
  const control = prepareControl({
    clock: systemClock,
    crypto,
    settings: config.control,
    path,
    configFile: options.config,
    json: options.json,
    isMasked: true,
    describe: (event) => describe(event as PrintedEvent),
  })
  const log = await openLog({
    level: config.log.level,
    isQuiet: options.quiet === true,
    describe: (event) => describe(event as PrintedEvent),
  })
  const report = createReporter(
    options.json,
    systemClock.wallNow,
    options.quiet ? () => null : describe,
    (printed) => {
      control.record(printed)
      log.record(printed)
    },
  )
  const daemon = new HostDaemon({
    crypto,
    configFile: options.config,
    environment: process.env,
    loaded,
    report,
    onNotice: log.notice,
  })
  const manager = serviceManager(log.notice)
  const server = await control.start(hostRoutes(daemon.control))
  let addressServer: AddressServer | null = null
  try {
    addressServer = await openHostedServer(config.address_server.listen, report)
    const failed = reloadOnHangUp(shutdown, manager, () => daemon.reload())
    await Promise.race([daemon.start(), stopped])
    manager.ready('Reading letters.')
    try {
      await Promise.race([stopped, failed, daemon.failed])
    } finally {
      const notified = manager.stopping()
      await daemon.stop()
      await notified
    }
  } finally {
    await addressServer?.close()
    await server?.close()
  }
}

type PrintedEvent = HostEvent | HostedEvent | ReloadEvent

function describe(event: PrintedEvent): Line | null {
  if (isReloadEvent(event)) return describeReload(event)
  return event.event === 'address-server' || event.event === 'served'
    ? describeAddressServerEvent(event)
    : describeHostEvent(event)
}
