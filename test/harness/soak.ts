// Requests over real mail servers for a while, with faults at random on the lines to both servers and in the process;
// then every request must have exactly one reply.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSender } from '../../src/mail/open-mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { FakeAgent, headerOf, hostAddress } from '../host/fakes.ts'
import { HostProcess } from '../host/real-host/host-process.ts'
import { planHost } from '../host/real-host/real-host.ts'
import { startPostOffice } from './post-office.ts'
import { startLineProxy } from './post-office-proxy.ts'
import { seededRandom } from './seeded-crypto.ts'

export type SoakReport = {
  readonly requests: number
  /** Requests without a reply, and with more than one. */
  readonly unanswered: number
  readonly doubled: number
  readonly faults: Readonly<Record<string, number>>
  /** After each tenth, of the host that runs at the time, unless it was just killed. */
  readonly samples: readonly SoakSample[]
  readonly leftInMailbox: number
}

export type SoakSample = {
  /** Of this host's life. */
  readonly ageMs: number
  readonly rssMB: number
  /** In use once everything that could be collected was: of JavaScript, and bytes outside its heap. */
  readonly heapMB: number
  readonly openFiles: number
}

/** Afterwards the host lives on, so that it can be seen whether it grows. */
const killedUntil = 0.4
/** Mailboxes that all agents share. */
const mailboxes = 50
/** Between two faults, on average. */
const faultEveryMs = 2_500
/** So long without a reply, and no more are waited for. */
const silentMs = 60_000

const sleep = (forMs: number) => new Promise<void>((resolve) => setTimeout(resolve, forMs))

export async function soak(options: {
  readonly durationMs: number
  readonly seed: number
  readonly onProgress?: (line: string) => void
}): Promise<SoakReport> {
  const { durationMs, seed, onProgress = () => undefined } = options
  const random = seededRandom(seed)
  const office = await startPostOffice()
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-soak-'))
  const imapLine = await startLineProxy({ port: office.ports.imap })
  const smtpLine = await startLineProxy({ port: office.ports.smtp })
  const {
    keys,
    room,
    options: hostOptions,
  } = planHost({
    receiveUrl: office.imapUrl('host').replace(/:\d+$/, `:${imapLine.port}`),
    sendUrl: office.smtpUrl('host').replace(/:\d+$/, `:${smtpLine.port}`),
    database: join(folder, 'host.sqlite'),
    // All agents share a few addresses of one domain.
    settings: {
      ...{ retryFirstMs: 200, retryMaxMs: 2_000, capacity: 500 },
      limits: { perKey: 0, perAddress: 0, perDomain: 0 },
    },
  })
  const posting = createSender(office.smtpUrl('agents'), { clock: systemClock })
  office.maildirOf('host')
  const folders = Array.from({ length: mailboxes }, (_, index) => office.maildirOf(`agent${index}`))
  const startHost = async () => {
    const started = new HostProcess()
    await started.waitFor('loaded')
    started.go(hostOptions)
    await started.waitFor('ready')
    return started
  }
  let host = await startHost()
  let startedAt = performance.now()
  const faults: Record<string, number> = {}
  const asked = new Set<string>()
  const until = performance.now() + durationMs

  const ask = async () => {
    for (let made = Math.floor(random() * 1e6); performance.now() < until; made++) {
      const agent = new FakeAgent(`agent${made % mailboxes}`, keys, room)
      const mail = { raw: new TextEncoder().encode(agent.mailRequest(Date.now())) }
      const { outcome } = await posting.send({ ...mail, from: agent.address, to: [hostAddress] })
      if (outcome === 'sent') asked.add(headerOf(mail, 'Message-ID') ?? '')
      // Not more waiting than the host works off, or the end would be spent on draining.
      while (mailsIn(office.maildirOf('host')) > 200) await sleep(50)
    }
  }
  const disturb = async () => {
    while (performance.now() < until) {
      await sleep(2 * faultEveryMs * random())
      const works: Record<string, () => unknown> = {
        'IMAP cut': async () => imapLine.cut(),
        'SMTP cut': async () => smtpLine.cut(),
        'IMAP dead for a second': async () => {
          imapLine.goDead('pass')
          await sleep(1_000)
          imapLine.cut()
        },
        'SMTP refused for a second': async () => {
          smtpLine.goDead('refuse')
          await sleep(1_000)
          smtpLine.heal()
          smtpLine.cut()
        },
        'host killed': async () => {
          await host.kill('SIGKILL')
          host = await startHost()
          startedAt = performance.now()
        },
      }
      if (performance.now() > until - (1 - killedUntil) * durationMs) delete works['host killed']
      const [name, work] = pick(random(), works)
      faults[name] = (faults[name] ?? 0) + 1
      await work()
    }
  }
  const samples: SoakSample[] = []
  const watch = async () => {
    for (let tenth = 1; tenth <= 10; tenth++) {
      await sleep(durationMs / 10)
      const sample = await sampleOf(host, performance.now() - startedAt)
      if (sample) samples.push(sample)
      onProgress(`${asked.size} requests, ${JSON.stringify(sample)}, ${JSON.stringify(faults)}`)
    }
  }
  try {
    await Promise.all([ask(), ask(), ask(), disturb(), watch()])
    // Letters are taken faster than replies are sent: thousands may wait in the outbox by now.
    let replies = repliesIn(folders)
    let newsAt = performance.now()
    while (performance.now() < newsAt + silentMs) {
      if (mailsIn(office.maildirOf('host')) === 0 && [...asked].every((id) => replies.has(id))) break
      await sleep(2_000)
      const before = replies.size
      replies = repliesIn(folders)
      if (replies.size > before) newsAt = performance.now()
    }
    await host.kill('SIGTERM')
    return {
      requests: asked.size,
      unanswered: [...asked].filter((id) => !replies.has(id)).length,
      doubled: [...replies.values()].filter(({ size }) => size > 1).length,
      ...{ faults, samples, leftInMailbox: mailsIn(office.maildirOf('host')) },
    }
  } finally {
    await host.kill('SIGKILL')
    await posting.close()
    await Promise.all([imapLine.stop(), smtpLine.stop()])
    await office.stop()
    rmSync(folder, { recursive: true })
  }
}

async function sampleOf(host: HostProcess, ageMs: number): Promise<SoakSample | null> {
  const memory = await host.memory()
  if (!memory) return null
  try {
    const openFiles = readdirSync(`/proc/${host.pid}/fd`).length
    const mega = (bytes: number) => Math.round(bytes / 1e5) / 10
    const { rss, heapUsed, external } = memory
    return { ageMs: Math.round(ageMs), rssMB: mega(rss), heapMB: mega(heapUsed + external), openFiles }
  } catch {
    // Killed since it told.
    return null
  }
}

function pick<T>(chance: number, all: Readonly<Record<string, T>>): [string, T] {
  const entries = Object.entries(all)
  return entries[Math.floor(chance * entries.length)] as [string, T]
}

function mailsIn(maildir: string): number {
  return ['new', 'cur'].reduce((sum, part) => sum + readdirSync(join(maildir, part)).length, 0)
}

/** By the Message-ID of the request, the Message-IDs of its replies: a mail sent twice after a fault is one mail. */
function repliesIn(folders: readonly string[]): Map<string, Set<string>> {
  const replies = new Map<string, Set<string>>()
  for (const folder of folders) {
    for (const name of readdirSync(join(folder, 'new'))) {
      const mail = { raw: readFileSync(join(folder, 'new', name)) }
      const answers = headerOf(mail, 'In-Reply-To')
      if (answers)
        replies.set(answers, (replies.get(answers) ?? new Set()).add(headerOf(mail, 'Message-ID') ?? ''))
    }
  }
  return replies
}
