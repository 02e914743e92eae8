// A host process over real mail servers, for tests that kill it. Reads its options as one line of JSON on stdin,
// so that it can be started before it is wanted; tells its events on stdout. Tells its memory, without what could be
// collected, on SIGUSR2; ends cleanly on SIGTERM.

import { createInterface } from 'node:readline'
import { createHost, type HostSettings } from '../../src/host/service.ts'
import { limits } from '../../src/letter/limits.ts'
import { createSender, openMailbox } from '../../src/mail/open.ts'
import { systemClock } from '../../src/net/system-clock.ts'
import { loadSodium } from '../../src/sodium.ts'

export type RealHostOptions = {
  readonly identitySeedHex: string
  readonly sealingSeedHex: string
  readonly roomTagHex: string
  readonly address: string
  readonly subject: string
  readonly imapUrl: string
  readonly smtpUrl: string
  readonly database: string
  readonly settings: Partial<HostSettings>
}

const crypto = await loadSodium()

async function run(options: RealHostOptions): Promise<void> {
  const { address, subject, database, settings } = options
  const bytes = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))
  const host = createHost({
    clock: systemClock,
    crypto,
    identity: crypto.signKeyPair(bytes(options.identitySeedHex)),
    sealingKeys: crypto.boxKeyPair(bytes(options.sealingSeedHex)),
    address,
    subject,
    rooms: [{ name: 'lobby', tag: bytes(options.roomTagHex) }],
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
