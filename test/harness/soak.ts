// Sends requests over real mail servers for a while, with random faults on both connections and in the process.
// Then every request must have exactly one reply.

import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSender } from '../../src/mail/open-mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { FakeAgent, headerOf, hostAddress } from '../host/fakes.ts'
import { HostProcess } from '../host/real-host/host-process.ts'
import { planHost } from '../host/real-host/real-host.ts'
import { startConnectionProxy } from './connection-proxy.ts'
import { startMailServers } from './mail-servers.ts'
import { seededRandom } from './seeded-crypto.ts'

export type SoakReport = {
  readonly requests: number
  /** Requests without a reply, and requests with several. */
  readonly unanswered: number
  readonly doubled: number
  readonly faults: Readonly<Record<string, number>>
  /** Samples after each tenth of the time, of the running host, unless it was just killed. */
  readonly samples: readonly SoakSample[]
  readonly leftInMailbox: number
}

export type SoakSample = {
  /** Age of this host process. */
  readonly ageMs: number
  readonly rssMB: number
  /** Memory in use after garbage collection: JavaScript's heap and bytes outside it. */
  readonly heapMB: number
  readonly openFiles: number
}

/** The host is killed only in this first part of the time; later it must live on to show growth. */
const killedUntil = 0.4
/** Number of mailboxes that all agents share. */
const mailboxes = 50
/** Average time between two faults. */
const faultEveryMs = 2_500
/** After so long without a new reply, the wait for replies ends. */
const maxSilenceMs = 60_000

const sleep = (forMs: number) => new Promise<void>((resolve) => setTimeout(resolve, forMs))

export async function soak(options: {
  readonly durationMs: number
  readonly seed: number
  readonly onProgress?: (line: string) => void
}): Promise<SoakReport> {
  const { durationMs, seed, onProgress = () => undefined } = options
  const random = seededRandom(seed)
  const mailServers = await startMailServers()
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-soak-'))
  const imapProxy = await startConnectionProxy({ port: mailServers.ports.imap })
  const smtpProxy = await startConnectionProxy({ port: mailServers.ports.smtp })
  const {
    keys,
    room,
    options: hostOptions,
  } = planHost({
    receiveUrl: mailServers.imapUrl('host').replace(/:\d+$/, `:${imapProxy.port}`),
    sendUrl: mailServers.smtpUrl('host').replace(/:\d+$/, `:${smtpProxy.port}`),
    database: join(folder, 'host.sqlite'),
    // Limits are off, because all agents share a few addresses of one domain.
    settings: {
      retryFirstMs: 200,
      retryMaxMs: 2_000,
      capacity: 500,
      limits: { perKey: 0, perAddress: 0, perDomain: 0 },
    },
  })
  const agentsSender = createSender(mailServers.smtpUrl('agents'), { clock: systemClock })
  mailServers.maildirOf('host')
  const folders = Array.from({ length: mailboxes }, (_, index) => mailServers.maildirOf(`agent${index}`))
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
  const requestIds = new Set<string>()
  const until = performance.now() + durationMs

  const sendRequests = async () => {
    for (let number = Math.floor(random() * 1e6); performance.now() < until; number++) {
      const agent = new FakeAgent(`agent${number % mailboxes}`, keys, room)
      const mail = { raw: new TextEncoder().encode(agent.mailRequest(Date.now())) }
      const { outcome } = await agentsSender.send({ ...mail, from: agent.address, to: [hostAddress] })
      if (outcome === 'sent') requestIds.add(headerOf(mail, 'Message-ID') ?? '')
      // No more waiting mails than the host can handle, so that the end does not wait for long.
      while (mailsIn(mailServers.maildirOf('host')) > 200) await sleep(50)
    }
  }
  const causeFaults = async () => {
    while (performance.now() < until) {
      await sleep(2 * faultEveryMs * random())
      const possibleFaults: Record<string, () => unknown> = {
        'IMAP cut': async () => imapProxy.cut(),
        'SMTP cut': async () => smtpProxy.cut(),
        'IMAP dead for a second': async () => {
          imapProxy.goDead('pass')
          await sleep(1_000)
          imapProxy.cut()
        },
        'SMTP refused for a second': async () => {
          smtpProxy.goDead('refuse')
          await sleep(1_000)
          smtpProxy.heal()
          smtpProxy.cut()
        },
        'host killed': async () => {
          await host.kill('SIGKILL')
          host = await startHost()
          startedAt = performance.now()
        },
      }
      if (performance.now() > until - (1 - killedUntil) * durationMs) delete possibleFaults['host killed']
      const [name, work] = pick(random(), possibleFaults)
      faults[name] = (faults[name] ?? 0) + 1
      await work()
    }
  }
  const samples: SoakSample[] = []
  const takeSamples = async () => {
    for (let tenth = 1; tenth <= 10; tenth++) {
      await sleep(durationMs / 10)
      const sample = await sampleOf(host, performance.now() - startedAt)
      if (sample) samples.push(sample)
      onProgress(`${requestIds.size} requests, ${JSON.stringify(sample)}, ${JSON.stringify(faults)}`)
    }
  }
  try {
    await Promise.all([sendRequests(), sendRequests(), sendRequests(), causeFaults(), takeSamples()])
    // Letters are handled faster than replies are sent, so thousands may wait in the outbox.
    let replies = repliesIn(folders)
    let lastReplyAt = performance.now()
    while (performance.now() < lastReplyAt + maxSilenceMs) {
      if (mailsIn(mailServers.maildirOf('host')) === 0 && [...requestIds].every((id) => replies.has(id)))
        break
      await sleep(2_000)
      const before = replies.size
      replies = repliesIn(folders)
      if (replies.size > before) lastReplyAt = performance.now()
    }
    await host.kill('SIGTERM')
    return {
      requests: requestIds.size,
      unanswered: [...requestIds].filter((id) => !replies.has(id)).length,
      doubled: [...replies.values()].filter(({ size }) => size > 1).length,
      faults,
      samples,
      leftInMailbox: mailsIn(mailServers.maildirOf('host')),
    }
  } finally {
    await host.kill('SIGKILL')
    await agentsSender.close()
    await Promise.all([imapProxy.stop(), smtpProxy.stop()])
    await mailServers.stop()
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
    // It was killed meanwhile.
    return null
  }
}

function pick<T>(chance: number, all: Readonly<Record<string, T>>): [string, T] {
  const entries = Object.entries(all)
  return entries[Math.floor(chance * entries.length)] as [string, T]
}

function mailsIn(maildir: string): number {
  return ['new', 'cur'].reduce((sum, subfolder) => sum + readdirSync(join(maildir, subfolder)).length, 0)
}

/** Message-IDs of the replies by the Message-ID of the request. A mail sent twice after a fault counts once. */
function repliesIn(folders: readonly string[]): Map<string, Set<string>> {
  const replies = new Map<string, Set<string>>()
  for (const folder of folders) {
    for (const name of readdirSync(join(folder, 'new'))) {
      const mail = { raw: readFileSync(join(folder, 'new', name)) }
      const requestId = headerOf(mail, 'In-Reply-To')
      if (requestId)
        replies.set(requestId, (replies.get(requestId) ?? new Set()).add(headerOf(mail, 'Message-ID') ?? ''))
    }
  }
  return replies
}
