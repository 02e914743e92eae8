// A test mail server on loopback in its own network namespace. All namespaces share its Maildirs. Options:
// folder and domain, as JSON in the first argument.

import { TestMailServer } from '../../src/mail/test-mail-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { emitToParent } from './child.ts'

const { folder, domain } = JSON.parse(process.argv[2] ?? '') as { folder: string; domain: string }
const server = new TestMailServer({ clock: systemClock, folder, domain, maxMailboxes: 200 })
emitToParent({ event: 'ready', port: await server.start() })
process.stdin.resume().on('end', async () => {
  await server.stop()
  process.exit(0)
})
