// Sends thousands of hostile mails through a complete host in its own process: a Maildir that fills, all of the
// host, and an SMTP server that accepts what the host sends.

import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { HostCounters } from '../../../src/host/host.ts'
import { defaultHostSettings } from '../../../src/host/settings.ts'
import { limits } from '../../../src/letter/limits.ts'
import { isOurs, mayBeReport } from '../../../src/mail/letter-mail-filter.ts'
import { parseHeader } from '../../../src/mail/mime/parse-mail.ts'
import { type HostDatabase, openSharedDatabase } from '../../../src/store/host-database.ts'
import { FakeAgent, hostAddress, subject } from '../../host/fakes.ts'
import { HostProcess } from '../../host/real-host/host-process.ts'
import { planHost } from '../../host/real-host/real-host.ts'
import { TestMaildir } from '../maildir.ts'
import { type SmtpSink, startSmtpSink } from '../smtp-sink.ts'
import { Attacker } from './attacker.ts'
import { hostileKinds } from './hostile-mails.ts'

export type CampaignOptions = {
  readonly letters: number
  readonly seed: number
  /** Mails per batch. */
  readonly batch: number
  /** Valid requests of newcomers, evenly spread; each must be answered once. */
  readonly controls: number
  readonly onProgress?: (line: string) => void
}

export type CampaignReport = {
  readonly delivered: number
  /** Mails with a damaged subject, which stay in the mailbox. */
  readonly leftAlone: number
  /** The host's counts by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** Expected counts of the mails with exactly one valid reason. */
  readonly expected: Readonly<Record<string, number>>
  readonly accepted: number
  readonly repliesSent: number
  readonly controls: number
  readonly entries: number
  readonly seenLetters: number
  readonly waitingMails: number
  readonly troubles: number
  readonly tookMs: number
  /** Resident memory after each tenth of the letters. */
  readonly rssMB: readonly number[]
  /**
   * Open files when the first valid letters were handled, without connections to the SMTP server, which stay
   * open for a while.
   */
  readonly filesBefore: number
  /** The fewest open files seen while waiting for `filesBefore`. */
  readonly filesAfter: number
}

const filter = { subject, address: hostAddress, maxBytes: limits.mailBytes }
const maxWaitMs = 120_000

export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'peerpost-hostile-'))
  const maildir = new TestMaildir(join(folder, 'mail'))
  const smtpSink = await startSmtpSink()
  const host = new HostProcess()
  try {
    const {
      keys,
      room,
      options: plan,
    } = planHost({
      receiveUrl: maildir.url,
      sendUrl: smtpSink.url,
      database: join(folder, 'host.sqlite'),
      settings: {
        unreachable: { ...defaultHostSettings.unreachable, firstMs: defaultHostSettings.unreachable.lastMs },
        // Limits are off, because one member sends thousands that must be dropped for their own reason.
        limits: { perKey: 0, perAddress: 0, perDomain: 0 },
      },
    })
    const attacker = new Attacker(keys, room, options.seed)
    await host.waitFor('loaded')
    host.go(plan)
    await host.waitFor('ready')
    const database = openSharedDatabase(join(folder, 'host.sqlite'))
    try {
      return await attack(options, { host, maildir, smtpSink, attacker, database })
    } finally {
      database.close()
    }
  } finally {
    await host.kill('SIGKILL')
    await smtpSink.stop()
    rmSync(folder, { recursive: true })
  }
}

type Setup = {
  readonly host: HostProcess
  readonly maildir: TestMaildir
  readonly smtpSink: SmtpSink
  readonly attacker: Attacker
  readonly database: HostDatabase
}

async function attack(options: CampaignOptions, setup: Setup): Promise<CampaignReport> {
  const { host, maildir, smtpSink, attacker, database } = setup
  let letters = 0
  let good = 0
  const untilHandled = () => until(() => (host.counts.get('letter') ?? 0) >= letters, host)
  const request = async (agent: FakeAgent) => {
    const mail = agent.mailRequest(Date.now())
    maildir.deliver(mail)
    letters++
    good++
    await untilHandled()
    await until(() => smtpSink.repliesTo(agent.address).length > 0, host)
    return mail
  }
  for (let at = 0; at < 20; at++)
    attacker.record(await request(new FakeAgent(`known${at}`, attacker.host, attacker.room)))
  attacker.record(await request(attacker.member))
  await request(attacker.gone)
  attacker.bounce = bounceOf(smtpSink.repliesTo(attacker.gone.address)[0] ?? '')
  maildir.deliver(attacker.bounce)
  letters++
  await untilHandled()

  const kinds = Object.values(hostileKinds)
  const totalWeight = kinds.reduce((sum, { weight }) => sum + weight, 0)
  const choose = () => {
    let left = (attacker.below(1_000_000) / 1_000_000) * totalWeight
    for (const each of kinds) {
      left -= each.weight
      if (left < 0) return each
    }
    return kinds[0]
  }
  const expected: Record<string, number> = { bounce: 1 }
  const rssMB: number[] = []
  let leftAlone = 0
  const isOutboxEmpty = () => {
    const { mails, introductions } = database.counts()
    return mails + introductions === 0
  }
  const files = () => readdirSync(`/proc/${host.pid}/fd`).length - smtpSink.connections
  const filesBefore = files()
  const from = performance.now()
  for (let delivered = 0; delivered < options.letters; ) {
    for (let at = Math.min(options.batch, options.letters - delivered); at > 0; at--, delivered++) {
      const chosen = choose()
      const mail = chosen?.make(attacker) ?? ''
      const header = await parseHeader(Buffer.from(mail, 'latin1'))
      const isShown = isOurs(header, filter) || (mayBeReport(header, filter) && chosen?.reason === 'bounce')
      if (isShown) letters++
      else leftAlone++
      if (isShown && chosen?.reason) expected[chosen.reason] = (expected[chosen.reason] ?? 0) + 1
      maildir.deliver(mail)
    }
    await untilHandled()
    await clear(maildir)
    if (Math.floor((delivered * options.controls) / options.letters) > good - 22) {
      const mail = await request(new FakeAgent(`control${good}`, attacker.host, attacker.room))
      attacker.record(mail)
    }
    if (Math.floor((delivered * 10) / options.letters) > rssMB.length) {
      const rss = residentMB(host.pid)
      rssMB.push(rss)
      options.onProgress?.(`${delivered} letters, ${rss} MB, ${Math.round(performance.now() - from)} ms`)
    }
  }
  const tookMs = Math.round(performance.now() - from)
  await until(isOutboxEmpty, host)
  const filesAfter = await lowestCount(files, filesBefore)
  await host.kill('SIGTERM')
  const counters = host.last.get('stopped')?.counters as HostCounters
  const dropped: Record<string, number> = {}
  let accepted = 0
  for (const [name, count] of Object.entries(counters.letters)) {
    const [, outcome, reason] = name.split(' ')
    if (outcome === 'accepted') accepted += count
    else if (reason) dropped[reason] = (dropped[reason] ?? 0) + count
  }
  const { entries, seenLetters, waitingMails } = counters
  return {
    ...{
      delivered: options.letters,
      leftAlone,
      dropped,
      expected,
      accepted,
      repliesSent: smtpSink.mails.filter(({ text }) => /^In-Reply-To: /m.test(text)).length,
      controls: good,
    },
    ...{
      entries,
      seenLetters,
      waitingMails,
      troubles: host.counts.get('trouble') ?? 0,
      tookMs,
      rssMB,
      filesBefore,
      filesAfter,
    },
  }
}

/** Removes mails that the host ignores. Handled letters may still be about to be removed by the host. */
async function clear(maildir: TestMaildir): Promise<void> {
  for (const path of maildir.mails) {
    const mail = maildir.read(path)
    const header = await parseHeader(mail ?? new Uint8Array())
    if (mail && !isOurs(header, filter) && !mayBeReport(header, filter)) maildir.remove(path)
  }
}

/** A bounce in the form of mail servers. */
function bounceOf(reply: string): string {
  return [
    'Return-Path: <>',
    'From: MAILER-DAEMON@mail.test',
    `To: ${hostAddress}`,
    'Subject: Undelivered Mail Returned to Sender',
    '',
    'Final-Recipient: rfc822; gone@mail.test',
    'Action: failed',
    '',
    reply,
  ].join('\r\n')
}

async function until(condition: () => boolean, host: HostProcess): Promise<void> {
  const deadline = performance.now() + maxWaitMs
  while (!condition()) {
    if (performance.now() > deadline)
      throw new Error(`it never came to that; ${JSON.stringify([...host.counts])} ${host.stderr}`)
    await new Promise((resolve) => setTimeout(resolve, 5))
  }
}

function residentMB(pid: number): number {
  const kibibytes = Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1])
  return Math.round((kibibytes * 1024) / 1e5) / 10
}

/**
 * The lowest count seen until it was `enough`, or within ten seconds. Letters being read are open files too.
 */
async function lowestCount(count: () => number, enough: number): Promise<number> {
  const deadline = performance.now() + 10_000
  let lowest = count()
  while (lowest > enough && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    lowest = Math.min(lowest, count())
  }
  return lowest
}
