// `peerpost host`: the daemon at the mailbox.

import type { AddressServer } from '../address-server/address-server.ts'
import { loadHostConfig } from '../config/load.ts'
import { HostControl } from '../control/host-control.ts'
import { hostRoutes } from '../control/host-routes.ts'
import { describeHostEvent } from '../control/stories.ts'
import type { Line } from '../control/words.ts'
import { createHost, defaultHostSettings, type HostEvent } from '../host/service.ts'
import { systemClock } from '../net/system-clock.ts'
import { loadSodium } from '../sodium.ts'
import { describeAddressServerEvent, type HostedEvent, openHostedServer } from './address-server.ts'
import { prepareControl } from './control.ts'
import { readHostKeys } from './host-keys.ts'
import { untilStopped } from './lifetime.ts'
import { openMail } from './open-mail.ts'
import { createReporter } from './output.ts'

export async function runHost(options: { readonly config: string; readonly json?: boolean }): Promise<void> {
  const { stopped } = untilStopped()
  const crypto = await loadSodium()
  const loaded = loadHostConfig(options.config, process.env)
  const { config, path } = loaded
  const { identity, sealingKeys, rooms } = readHostKeys(crypto, loaded)
  const { subject } = config.mail
  const control = prepareControl({
    ...{
      clock: systemClock,
      crypto,
      settings: config.control,
      configFile: options.config,
      json: options.json,
    },
    describe: (event) => describe(event as HostEvent | HostedEvent),
    isMasked: true,
  })
  const report = createReporter(options.json, systemClock.wallNow, describe, control.tell)
  const { mailbox, sender } = openMail(config.mail, path, { subject, address: config.address }, (notice) =>
    process.stderr.write(`peerpost: ${notice}\n`),
  )
  const host = createHost({
    clock: systemClock,
    crypto,
    identity,
    sealingKeys,
    address: config.address,
    subject,
    rooms: rooms.map(({ name, keys }) => ({ name, tag: keys.tag })),
    settings: {
      capacity: config.table.capacity,
      expiryMs: config.table.expiry,
      freshnessMs: config.letters.freshness,
      futureToleranceMs: config.letters.future_tolerance,
      replyPeers: config.letters.reply_peers,
      introductionWindowMs: config.letters.introduction_window,
      sweepMs: config.letters.sweep,
      natPrefix: { 4: config.same_nat.ipv4_prefix, 6: config.same_nat.ipv6_prefix },
    },
    database: path(config.table.path),
    mailbox,
    sender,
    onEvent: (event) => {
      watched.heard(event)
      report(event)
    },
  })
  const watched = new HostControl({
    ...{ clock: systemClock, host, address: config.address, rooms: rooms.map(({ name }) => name) },
    settings: { ...defaultHostSettings, capacity: config.table.capacity },
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
