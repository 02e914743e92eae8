// A host that starts with 2,000 waiting requests of as many people: mails per second until all are answered.
// The baseline is a bare loop that fetches the same letters and sends as many mails of the same sizes to the
// same people.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSender } from '../../src/mail/open-mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { type MailServers, startMailServers } from '../harness/mail-servers.ts'
import { FakeAgent, subject } from '../host/fakes.ts'
import type { BareBacklogOptions } from './bare-backlog.ts'
import { BenchHost, buildProgram, type HostFolder, makeHostFolder } from './bench-host.ts'
import { Child } from './child.ts'
import { processorTimes } from './idle-wait.ts'
import { mailCount, newestMails, queueIsEmpty } from './mail-files.ts'
import { printProgress, quantile, type Report, round, sleep } from './report.ts'

export type BacklogOptions = {
  readonly requests: number
  /** The order alternates, so that warm caches do not always help the same side; `host` comes first. */
  readonly turns: readonly ('host' | 'bare')[]
}

export const backlogOptions: BacklogOptions = {
  requests: 2_000,
  turns: ['host', 'bare', 'bare', 'host', 'host', 'bare'],
}

const minShare = 0.75
const maxMegabytes = 160
/** The host counts as idle after so long without an event. */
const idleMs = 3_000
const user = 'host'

type HostRun = {
  readonly tookMs: number
  readonly introductions: number
  readonly replyBytes: number
  readonly introductionBytes: number
  /** Includes the introductions that were sent later. */
  readonly untilIdleMs: number
  readonly allMails: number
  readonly rssMB: number
  readonly peakMB: number
  /** Processor time of the host's process since its start. */
  readonly cpuMs: number
  /** Share of the time of all processors. */
  readonly idleShare: number
}

type BareRun = {
  readonly tookMs: number
  readonly sent: number
  readonly fetched: number
  readonly rssMB: number
  readonly cpuMs: number
  readonly idleShare: number
}

type Sizes = Pick<HostRun, 'introductions' | 'replyBytes' | 'introductionBytes'>

export async function benchBacklog(
  idleWait: { wait(): Promise<void> },
  { requests, turns }: BacklogOptions = backlogOptions,
): Promise<Report> {
  const mailServers = await startMailServers()
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-bench-'))
  try {
    mailServers.maildirOf(user)
    let created = 0
    const program = buildProgram(folder)
    const newHost = () => makeHostFolder(mailServers, user, join(folder, `host${created++}`), program)
    const first = newHost()
    await mailRequests(mailServers, first, requests)
    await runBare(mailServers, { introductions: 0, replyBytes: 4_000, introductionBytes: 4_000 }, requests)

    const hosts: HostRun[] = []
    const bares: BareRun[] = []
    for (const turn of turns) {
      const hostFolder = newHost()
      await mailRequests(mailServers, hostFolder, requests)
      await idleWait.wait()
      const [last] = hosts.slice(-1)
      if (turn === 'host') hosts.push(await runHost(mailServers, hostFolder, requests))
      else if (last) bares.push(await runBare(mailServers, last, requests))
    }
    return reportOf(hosts, bares, { requests, turns })
  } finally {
    await mailServers.stop()
    rmSync(folder, { recursive: true })
  }
}

/** Mails one request each of so many people to the host's mailbox. */
async function mailRequests(mailServers: MailServers, { keys }: HostFolder, requests: number): Promise<void> {
  const [room] = keys.rooms
  if (!room) throw new Error('the host has no room')
  const sender = createSender(mailServers.smtpUrl('agents'), { clock: systemClock })
  let next = 0
  const work = async () => {
    while (next < requests) {
      const index = next++
      const agent = new FakeAgent(`agent${index}`, keys, room.keys, `203.0.113.${index % 250}`)
      const raw = new TextEncoder().encode(agent.mailRequest(Date.now()))
      const { outcome } = await sender.send({ from: agent.address, to: [mailServers.address(user)], raw })
      if (outcome !== 'sent') throw new Error('Postfix did not take a request')
    }
  }
  await Promise.all(Array.from({ length: sender.concurrency }, work))
  await sender.close()
  await queueIsEmpty(mailServers)
  if (mailCount(mailServers, user) !== requests) throw new Error('not all requests are in the mailbox')
}

async function runHost(mailServers: MailServers, hostFolder: HostFolder, requests: number): Promise<HostRun> {
  const host = new BenchHost(hostFolder)
  try {
    const ready = await host.until(({ event }) => event === 'ready')
    const from = Date.parse(ready.at)
    const before = processorTimes()
    const sent = { reply: 0, introduction: 0 }
    let lastSentAt = from
    const read = () => {
      for (const { event, kind, at, ...rest } of host.read()) {
        if (event === 'trouble' || event === 'unsent')
          throw new Error(JSON.stringify({ event, kind, ...rest }))
        if (event !== 'sent') continue
        lastSentAt = Date.parse(at)
        if (kind === 'reply') sent.reply++
        else sent.introduction++
      }
    }
    while (sent.reply < requests) {
      await sleep(50)
      read()
    }
    // We read up to one pause late, so the events' own times count.
    const { introduction } = sent
    let end = lastSentAt
    while (mailCount(mailServers, user) > 0) {
      await sleep(5)
      end = Math.max(end, Date.now())
    }
    const tookMs = end - from
    const idleShare = idleSince(before)
    const cpuMs = host.cpuMs()
    while (Date.now() - lastSentAt < idleMs) {
      await sleep(100)
      read()
    }
    const run = {
      tookMs,
      introductions: introduction,
      ...(await mailSizes(mailServers, requests)),
      untilIdleMs: lastSentAt - from,
      allMails: sent.reply + sent.introduction,
      ...host.memory(),
      cpuMs,
      idleShare,
    }
    printProgress(
      `host: ${requests} letters, ${requests + introduction} mails in ${tookMs} ms, ${cpuMs} ms of processor, ${idleShare} idle`,
    )
    return run
  } finally {
    await host.stop()
  }
}

/** Sizes of the mails that a few agents received. */
async function mailSizes(
  mailServers: MailServers,
  agents: number,
): Promise<Pick<HostRun, 'replyBytes' | 'introductionBytes'>> {
  await queueIsEmpty(mailServers)
  const mails = Array.from({ length: 50 }, (_, index) => index + Math.floor(agents / 2)).flatMap((index) =>
    newestMails(mailServers, `agent${index}`, 2),
  )
  const median = (wantsReplies: boolean) =>
    quantile(
      mails.filter((mail) => mail.isReply === wantsReplies).map(({ bytes }) => bytes),
      0.5,
    )
  return { replyBytes: median(true), introductionBytes: median(false) }
}

async function runBare(mailServers: MailServers, sizes: Sizes, requests: number): Promise<BareRun> {
  const options: BareBacklogOptions = {
    account: {
      address: mailServers.address(user),
      imapUrl: mailServers.imapUrl(user),
      smtpUrl: mailServers.smtpUrl(user),
    },
    subject,
    batchMails: 50,
    replyBytes: sizes.replyBytes,
    introductions: sizes.introductions,
    introductionBytes: sizes.introductionBytes,
  }
  const loop = new Child('./bare-backlog.ts', options)
  await loop.waitFor('ready')
  const before = processorTimes()
  const done = await loop.waitFor('done')
  const idleShare = idleSince(before)
  await loop.end()
  const run = {
    tookMs: Number(done.tookMs),
    sent: Number(done.sent),
    fetched: Number(done.fetched),
    rssMB: round(Number(done.rssBytes) / 1e6, 1),
    cpuMs: Math.round(Number(done.cpuMs)),
    idleShare,
  }
  if (run.fetched !== requests || mailCount(mailServers, user) > 0)
    throw new Error('the bare loop left letters')
  await queueIsEmpty(mailServers)
  printProgress(
    `bare: ${run.fetched} letters, ${run.sent} mails in ${Math.round(run.tookMs)} ms, ${run.cpuMs} ms of processor, ${idleShare} idle`,
  )
  return run
}

function idleSince(before: ReturnType<typeof processorTimes>): number {
  const after = processorTimes()
  return round((after.idle - before.idle) / (after.all - before.all), 2)
}

function reportOf(
  hosts: readonly HostRun[],
  bares: readonly BareRun[],
  { requests, turns }: BacklogOptions,
): Report {
  const hostRates = hosts.map(({ tookMs, introductions }) => (1_000 * (requests + introductions)) / tookMs)
  const bareRates = bares.map(({ tookMs, sent }) => (1_000 * sent) / tookMs)
  const ratio = round(quantile(hostRates, 0.5) / quantile(bareRates, 0.5))
  const peakMB = Math.max(...hosts.map((run) => run.peakMB))
  return {
    bench: 'backlog',
    ratio,
    target: `at least ${minShare}, and the host's memory under ${maxMegabytes} MB`,
    pass: ratio >= minShare && peakMB < maxMegabytes,
    baseline: {
      mailsPerSecond: bareRates.map((rate) => round(rate, 1)),
      tookMs: bares.map(({ tookMs }) => Math.round(tookMs)),
      sent: bares.map(({ sent }) => sent),
      rssMB: bares.map(({ rssMB }) => rssMB),
      cpuMs: bares.map(({ cpuMs }) => cpuMs),
      idleShare: bares.map(({ idleShare }) => idleShare),
    },
    measured: {
      mailsPerSecond: hostRates.map((rate) => round(rate, 1)),
      tookMs: hosts.map(({ tookMs }) => tookMs),
      replies: hosts.map(() => requests),
      introductions: hosts.map(({ introductions }) => introductions),
      'all mails, also later': hosts.map(({ allMails }) => allMails),
      'all mailsPerSecond': hosts.map(({ allMails, untilIdleMs }) =>
        round((1_000 * allMails) / untilIdleMs, 1),
      ),
      peakMB: hosts.map((run) => run.peakMB),
      rssMB: hosts.map((run) => run.rssMB),
      cpuMs: hosts.map(({ cpuMs }) => cpuMs),
      idleShare: hosts.map(({ idleShare }) => idleShare),
    },
    inputs: {
      requests,
      turns: turns.join(' '),
      replyBytes: hosts.map(({ replyBytes }) => replyBytes),
      introductionBytes: hosts.map(({ introductionBytes }) => introductionBytes),
    },
  }
}
