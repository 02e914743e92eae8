// Mailpit for a test: the real one if it is on the PATH (Debian has no package of it), otherwise its
// replacement.

import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSender } from '../../src/mail/open-mailbox.ts'
import { systemClock as clock } from '../../src/runtime/system-clock.ts'
import { startFakeMailpit } from './fake-mailpit.ts'
import {
  failureOf,
  freePorts,
  hasEnded,
  startDaemon,
  startGuardian,
  stopDaemon,
} from './mail-servers-processes.ts'
import { findProgram } from './needs.ts'

export type StoredMail = { readonly id: string; readonly raw: Uint8Array; readonly read: boolean }

export type Mailpit = {
  readonly smtpPort: number
  readonly webPort: number
  /** Stores mails. */
  deliver(raws: readonly Uint8Array[]): Promise<void>
  /** All mails, oldest first. */
  mails(): Promise<readonly StoredMail[]>
  stop(): Promise<void>
}

export type MailpitOptions = {
  readonly login?: { readonly user: string; readonly password: string }
  /** Path prefix of its URLs, with a leading slash; default none. */
  readonly root?: string
}

export function startMailpit(options: MailpitOptions = {}): Promise<Mailpit> {
  const program = findProgram('mailpit')
  return program === undefined ? startFakeMailpit(options) : startRealMailpit(program, options)
}

async function startRealMailpit(program: string, { login, root = '' }: MailpitOptions): Promise<Mailpit> {
  const folder = await mkdtemp(join(tmpdir(), 'mailpit-'))
  const [smtpPort, webPort] = (await freePorts(2)) as [number, number]
  const authFile = join(folder, 'auth')
  if (login) writeFileSync(authFile, `${login.user}:${login.password}\n`)
  const guardian = startGuardian(folder)
  const daemon = startDaemon({
    name: 'mailpit',
    command: [
      ...[program, '--listen', `127.0.0.1:${webPort}`, '--smtp', `127.0.0.1:${smtpPort}`],
      ...['--database', join(folder, 'mailpit.db'), '--max', '0', '--disable-version-check'],
      ...(root === '' ? [] : ['--webroot', root]),
      ...(login ? ['--ui-auth-file', authFile] : []),
    ],
    folder,
  })
  guardian.watch(daemon)
  const headers = login
    ? { authorization: `Basic ${Buffer.from(`${login.user}:${login.password}`).toString('base64')}` }
    : {}
  const ask = (path: string) => fetch(`http://127.0.0.1:${webPort}${root}${path}`, { headers })
  const stop = async () => {
    await stopDaemon(daemon, 2_000)
    guardian.dismiss()
    await rm(folder, { recursive: true, force: true })
  }
  for (const deadline = performance.now() + 20_000; ; ) {
    if ((await ask('/readyz').catch(() => null))?.ok) break
    if (hasEnded(daemon) || performance.now() > deadline) {
      const failure = failureOf(daemon, `does not answer on 127.0.0.1:${webPort}`)
      await stop()
      throw failure
    }
    await new Promise((resolve) => setTimeout(resolve, 25))
  }
  return {
    smtpPort,
    webPort,
    async deliver(raws) {
      const sender = createSender(`smtp://127.0.0.1:${smtpPort}`, { clock, connections: 1 })
      for (const raw of raws) {
        const sent = await sender.send({ from: 'somebody@else.test', to: ['somebody@else.test'], raw })
        if (sent.outcome !== 'sent') throw new Error(`Mailpit took no mail: ${sent.outcome}`)
      }
      await sender.close()
    },
    async mails() {
      const list = (await (await ask('/api/v1/messages?limit=100000')).json()) as {
        messages: { ID: string; Read: boolean }[]
      }
      const stored: StoredMail[] = []
      for (const { ID, Read } of list.messages.reverse()) {
        const raw = new Uint8Array(await (await ask(`/api/v1/message/${ID}/raw`)).arrayBuffer())
        stored.push({ id: ID, raw, read: Read })
      }
      return stored
    },
    stop,
  }
}
