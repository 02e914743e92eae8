// A host that starts with 2,000 requests of as many people waiting: mails a second until all are answered, against a
// bare loop that takes the same letters and sends as many mails of the same sizes to the same people.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createSender } from '../../src/mail/open-mailbox.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { type PostOffice, startPostOffice } from '../harness/post-office.ts'
import { FakeAgent, subject } from '../host/fakes.ts'
import type { LoopOptions } from './bare-loop.ts'
import { BenchHost, buildProgram, type HostFolder, makeHostFolder } from './bench-host.ts'
import { Child } from './child.ts'
import { mailCount, newestMails, queueIsEmpty } from './post.ts'
import { processorTimes } from './quiet.ts'
import { quantile, type Report, round, sleep, tell } from './report.ts'

export type BacklogOptions = {
  readonly requests: number
  /** Turns change, so that what one run warms up does not always serve the same other; `host` comes first. */
  readonly turns: readonly ('host' | 'bare')[]
}

export const backlogOptions: BacklogOptions = {
  requests: 2_000,
  turns: ['host', 'bare', 'bare', 'host', 'host', 'bare'],
}

const leastShare = 0.75
const mostMegabytes = 160
/** The host counts as idle when it has told nothing for this long. */
const idleMs = 3_000
const user = 'host'

type HostRun = {
  readonly tookMs: number
  readonly introductions: number
  readonly replyBytes: number
  readonly introductionBytes: number
  /** Also with the introductions that were made later. */
  readonly untilIdleMs: number
  readonly allMails: number
  readonly rssMB: number
  readonly peakMB: number
  /** Processor time of the host's own process, from its start on. */
  readonly cpuMs: number
  /** Of the time of all processors together. */
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
  quiet: { wait(): Promise<void> },
  { requests, turns }: BacklogOptions = backlogOptions,
): Promise<Report> {
  const office = await startPostOffice()
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-bench-'))
  try {
    office.maildirOf(user)
    let made = 0
    const program = buildProgram(folder)
    const newHost = () => makeHostFolder(office, user, join(folder, `host${made++}`), program)
    const first = newHost()
    await post(office, first, requests)
    await runBare(office, { introductions: 0, replyBytes: 4_000, introductionBytes: 4_000 }, requests)

    const hosts: HostRun[] = []
    const bares: BareRun[] = []
    for (const turn of turns) {
      const hostFolder = newHost()
      await post(office, hostFolder, requests)
      await quiet.wait()
      const [last] = hosts.slice(-1)
      if (turn === 'host') hosts.push(await runHost(office, hostFolder, requests))
      else if (last) bares.push(await runBare(office, last, requests))
    }
    return reportOf(hosts, bares, { requests, turns })
  } finally {
    await office.stop()
    rmSync(folder, { recursive: true })
  }
}

/** Puts one request each of so many people into the host's mailbox, by the way that mail comes. */
async function post(office: PostOffice, { keys }: HostFolder, requests: number): Promise<void> {
  const [room] = keys.rooms
  if (!room) throw new Error('the host has no room')
  const sender = createSender(office.smtpUrl('agents'), { clock: systemClock })
  let next = 0
  const work = async () => {
    while (next < requests) {
      const index = next++
      const agent = new FakeAgent(`agent${index}`, keys, room.keys, `203.0.113.${index % 250}`)
      const raw = new TextEncoder().encode(agent.mailRequest(Date.now()))
      const { outcome } = await sender.send({ from: agent.address, to: [office.address(user)], raw })
      if (outcome !== 'sent') throw new Error('Postfix did not take a request')
    }
  }
  await Promise.all(Array.from({ length: sender.concurrency }, work))
  await sender.close()
  await queueIsEmpty(office)
  if (mailCount(office, user) !== requests) throw new Error('not all requests are in the mailbox')
}

async function runHost(office: PostOffice, hostFolder: HostFolder, requests: number): Promise<HostRun> {
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
    // Reading is late by up to one pause, so the events' own times count.
    const { introduction } = sent
    let end = lastSentAt
    while (mailCount(office, user) > 0) {
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
      ...(await mailSizes(office, requests)),
      untilIdleMs: lastSentAt - from,
      allMails: sent.reply + sent.introduction,
      ...host.memory(),
      cpuMs,
      idleShare,
    }
    tell(
      `host: ${requests} letters, ${requests + introduction} mails in ${tookMs} ms, ${cpuMs} ms of processor, ${idleShare} idle`,
    )
    return run
  } finally {
    await host.stop()
  }
}

/** As a few agents got them. */
async function mailSizes(
  office: PostOffice,
  agents: number,
): Promise<Pick<HostRun, 'replyBytes' | 'introductionBytes'>> {
  await queueIsEmpty(office)
  const mails = Array.from({ length: 50 }, (_, index) => index + Math.floor(agents / 2)).flatMap((index) =>
    newestMails(office, `agent${index}`, 2),
  )
  const median = (answers: boolean) =>
    quantile(
      mails.filter((mail) => mail.answers === answers).map(({ bytes }) => bytes),
      0.5,
    )
  return { replyBytes: median(true), introductionBytes: median(false) }
}

async function runBare(office: PostOffice, sizes: Sizes, requests: number): Promise<BareRun> {
  const options: LoopOptions = {
    account: {
      address: office.address(user),
      imapUrl: office.imapUrl(user),
      smtpUrl: office.smtpUrl(user),
    },
    subject,
    batchMails: 50,
    replyBytes: sizes.replyBytes,
    introductions: sizes.introductions,
    introductionBytes: sizes.introductionBytes,
  }
  const loop = new Child('./bare-loop.ts', options)
  await loop.heard('ready')
  const before = processorTimes()
  const done = await loop.heard('done')
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
  if (run.fetched !== requests || mailCount(office, user) > 0) throw new Error('the bare loop left letters')
  await queueIsEmpty(office)
  tell(
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
    target: `at least ${leastShare}, and the host's memory under ${mostMegabytes} MB`,
    pass: ratio >= leastShare && peakMB < mostMegabytes,
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
