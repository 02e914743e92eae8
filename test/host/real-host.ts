// A host process over real mail servers, for tests that kill it. Reads its options as one line of JSON on stdin,
// so that it can be started before it is wanted; tells its events on stdout. Tells its memory, without what could be
// collected, on SIGUSR2; ends cleanly on SIGTERM.

import { createInterface } from 'node:readline'
import { createHost, type HostSettings } from '../../src/host/host.ts'
import { limits } from '../../src/letter/limits.ts'
import { createSender, openMailbox } from '../../src/mail/open-mailbox.ts'
import { loadSodium } from '../../src/runtime/sodium.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { bytesOf, cardOf, type HostSeeds, type HostSeedsAt, keysOf } from './seeds.ts'

export type RealHostOptions = HostSeeds & {
  /** Left out for a representative host, which has no room. */
  readonly roomTagHex?: string
  /** Other hosts that it knows. */
  readonly hosts?: readonly HostSeedsAt[]
  readonly workers?: readonly HostSeedsAt[]
  readonly represents?: HostSeeds & { readonly representative: HostSeedsAt }
  readonly address: string
  readonly subject: string
  readonly imapUrl: string
  readonly smtpUrl: string
  readonly database: string
  readonly settings: Partial<HostSettings>
}

const crypto = await loadSodium()
const cardAt = (host: HostSeedsAt) => cardOf(crypto, host)

async function run(options: RealHostOptions): Promise<void> {
  const { address, subject, database, settings, roomTagHex, hosts, workers, represents } = options
  const host = createHost({
    clock: systemClock,
    crypto,
    ...keysOf(crypto, options),
    address,
    subject,
    rooms: roomTagHex === undefined ? [] : [{ name: 'lobby', tag: bytesOf(roomTagHex) }],
    ...(hosts && { hosts: hosts.map(cardAt) }),
    ...(workers && { workers: workers.map(cardAt) }),
    ...(represents && {
      represents: { ...keysOf(crypto, represents), representative: cardAt(represents.representative) },
    }),
    settings,
    database,
    mailbox: openMailbox(
      options.imapUrl,
      { subject, address, maxBytes: limits.mailBytes },
      { clock: systemClock },
    ),
    sender: createSender(options.smtpUrl, { clock: systemClock }),
    onEvent: (event) => console.log(JSON.stringify(event)),
    onFailed: () => process.exit(1),
  })
  process.once('SIGTERM', () => {
    void host.stop().then(() => {
      console.log(
        JSON.stringify({
          event: 'stopped',
          rssBytes: process.memoryUsage.rss(),
          cpu: process.cpuUsage(),
          counters: host.counters(),
        }),
      )
      process.exit(0)
    })
  })
  await host.start()
}

process.on('SIGUSR2', () => {
  globalThis.gc?.()
  console.log(JSON.stringify({ event: 'memory', ...process.memoryUsage() }))
})
const lines = createInterface({ input: process.stdin })
lines.once('line', (line) => {
  lines.close()
  process.stdin.destroy()
  run(JSON.parse(line) as RealHostOptions).catch((thrown: unknown) => {
    console.error(thrown)
    process.exit(1)
  })
})
console.log(JSON.stringify({ event: 'loaded' }))
