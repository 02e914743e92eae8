// A post office on loopback in a network namespace of its own, over Maildirs that all namespaces share. Options:
// folder and domain as JSON in the first argument.

import { TestMailServer } from '../../src/mail/test-mail-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { tellParent } from './child.ts'

const { folder, domain } = JSON.parse(process.argv[2] ?? '') as { folder: string; domain: string }
const office = new TestMailServer({ clock: systemClock, folder, domain, maxMailboxes: 200 })
tellParent({ event: 'ready', port: await office.start() })
process.stdin.resume().on('end', async () => {
  await office.stop()
  process.exit(0)
})
