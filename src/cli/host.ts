// `peerpost host`: the daemon at the mailbox.

import type { AddressServer } from '../address-server/address-server.ts'
import { loadHostConfig } from '../config/load.ts'
import { HostControl } from '../control/host-control.ts'
import { hostRoutes } from '../control/host-routes.ts'
import { describeHostEvent } from '../control/stories.ts'
import type { Line } from '../control/words.ts'
import { defaultHostSettings, type HostEvent } from '../host/service.ts'
import { systemClock } from '../net/system-clock.ts'
import { readHostKeys } from '../setup/host-keys.ts'
import { setUpHost } from '../setup/host-setup.ts'
import { loadSodium } from '../sodium.ts'
import { describeAddressServerEvent, type HostedEvent, openHostedServer } from './address-server.ts'
import { prepareControl } from './control.ts'
import { untilStopped } from './lifetime.ts'
import { createReporter } from './output.ts'

/** Sweeps that may fail, or take so long, before the host counts as not ready. */
const scanSweeps = 3

export async function runHost(options: { readonly config: string; readonly json?: boolean }): Promise<void> {
  const { stopped } = untilStopped()
  const crypto = await loadSodium()
  const loaded = loadHostConfig(options.config, process.env)
  const { config } = loaded
  const keys = readHostKeys(crypto, loaded)
  const control = prepareControl({
    ...{
      clock: systemClock,
      crypto,
      settings: config.control,
      path: loaded.path,
      configFile: options.config,
      json: options.json,
    },
    describe: (event) => describe(event as HostEvent | HostedEvent),
    isMasked: true,
  })
  const report = createReporter(options.json, systemClock.wallNow, describe, control.tell)
  const host = setUpHost({
    ...{ crypto, loaded, keys },
    onEvent: (event) => {
      watched.heard(event)
      report(event)
    },
    onNotice: (notice) => process.stderr.write(`peerpost: ${notice}\n`),
  })
  const watched = new HostControl({
    ...{ clock: systemClock, host, address: config.address, rooms: keys.rooms.map(({ name }) => name) },
    settings: { ...defaultHostSettings, capacity: config.table.capacity },
    scanLimitMs: scanSweeps * config.letters.sweep,
  })
  const server = await control.start(hostRoutes(watched))
  let addressServer: AddressServer | null = null
  try {
    addressServer = await openHostedServer(config.address_server.listen, report)
    await Promise.race([host.start(), stopped])
    await stopped
    await host.stop()
  } finally {
    await addressServer?.close()
    await server?.close()
  }
}

function describe(event: HostEvent | HostedEvent): Line | null {
  return event.event === 'address-server' || event.event === 'served'
    ? describeAddressServerEvent(event)
    : describeHostEvent(event)
}
