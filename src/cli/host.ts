// `peerpost host`: the daemon at the mailbox.

import type { AddressServer } from '../address-server/address-server.ts'
import { loadHostConfig } from '../config/load.ts'
import { hostRoutes } from '../control/host-routes.ts'
import { describeHostEvent } from '../control/stories.ts'
import type { Line } from '../control/words.ts'
import type { HostEvent } from '../host/service.ts'
import { systemClock } from '../net/system-clock.ts'
import { loadSodium } from '../sodium.ts'
import { describeAddressServerEvent, type HostedEvent, openHostedServer } from './address-server.ts'
import { prepareControl } from './control.ts'
import { HostDaemon } from './host-daemon.ts'
import { untilStopped } from './lifetime.ts'
import { openLog } from './log.ts'
import { createReporter } from './output.ts'
import { describeReload, isReloadEvent, type ReloadEvent } from './reload.ts'
import { reloadOnHangUp, serviceManager } from './service.ts'

export type HostCommandOptions = {
  readonly config: string
  readonly json?: boolean
  /** Nothing on standard output. */
  readonly quiet?: boolean
}

export async function runHost(options: HostCommandOptions): Promise<void> {
  const lifetime = untilStopped()
  const { stopped } = lifetime
  const crypto = await loadSodium()
  const loaded = loadHostConfig(options.config, process.env)
  const { config, path } = loaded
  const control = prepareControl({
    ...{ clock: systemClock, crypto, settings: config.control, path },
    ...{ configFile: options.config, json: options.json, isMasked: true },
    describe: (event) => describe(event as ToldEvent),
  })
  const log = await openLog({
    ...{ level: config.log.level, isQuiet: options.quiet === true },
    describe: (event) => describe(event as ToldEvent),
  })
  const report = createReporter(
    options.json,
    systemClock.wallNow,
    options.quiet ? () => null : describe,
    (told) => {
      control.tell(told)
      log.tell(told)
    },
  )
  const daemon = new HostDaemon({
    ...{ crypto, configFile: options.config, environment: process.env, loaded, report, onNotice: log.notice },
  })
  const manager = serviceManager(log.notice)
  const server = await control.start(hostRoutes(daemon.control))
  let addressServer: AddressServer | null = null
  try {
    addressServer = await openHostedServer(config.address_server.listen, report)
    const failed = reloadOnHangUp(lifetime, manager, () => daemon.reload())
    await Promise.race([daemon.start(), stopped])
    manager.ready('Taking letters.')
    try {
      await Promise.race([stopped, failed, daemon.failed])
    } finally {
      const told = manager.stopping()
      await daemon.stop()
      await told
    }
  } finally {
    await addressServer?.close()
    await server?.close()
  }
}

type ToldEvent = HostEvent | HostedEvent | ReloadEvent

function describe(event: ToldEvent): Line | null {
  if (isReloadEvent(event)) return describeReload(event)
  return event.event === 'address-server' || event.event === 'served'
    ? describeAddressServerEvent(event)
    : describeHostEvent(event)
}
