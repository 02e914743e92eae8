// Hostile mails by the thousand through a whole host in a process of its own: a Maildir that fills, the reader, the
// courier, the table and the dispatcher, and an SMTP server that takes whatever the host would send.

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
import { Enemy } from './enemy.ts'
import { hostileKinds } from './letters.ts'

export type CampaignOptions = {
  readonly letters: number
  readonly seed: number
  /** Mails put into the mailbox at a time. */
  readonly batch: number
  /** Good requests of newcomers in between, evenly: they must be answered, once each. */
  readonly controls: number
  readonly onProgress?: (line: string) => void
}

export type CampaignReport = {
  readonly delivered: number
  /** Whose subject was spoiled: left alone in the mailbox. */
  readonly leftAlone: number
  /** By the host's count, by reason. */
  readonly dropped: Readonly<Record<string, number>>
  /** What the mails were made for, where that is one reason. */
  readonly expected: Readonly<Record<string, number>>
  readonly accepted: number
  readonly repliesSent: number
  readonly controls: number
  readonly entries: number
  readonly seenLetters: number
  readonly waitingMails: number
  readonly troubles: number
  readonly tookMs: number
  /** Resident, after each tenth of the letters. */
  readonly rssMB: readonly number[]
  /** But for connections to the SMTP server, which are kept for a while, when the first good letters were dealt with. */
  readonly filesBefore: number
  /** The fewest seen before giving up waiting for `filesBefore`. */
  readonly filesAfter: number
}

const filter = { subject, address: hostAddress, maxBytes: limits.mailBytes }
const longestWaitMs = 120_000

export async function runCampaign(options: CampaignOptions): Promise<CampaignReport> {
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'peerpost-hostile-'))
  const maildir = new TestMaildir(join(folder, 'mail'))
  const post = await startSmtpSink()
  const host = new HostProcess()
  try {
    const {
      keys,
      room,
      options: plan,
    } = planHost({
      receiveUrl: maildir.url,
      sendUrl: post.url,
      database: join(folder, 'host.sqlite'),
      settings: {
        unreachable: { ...defaultHostSettings.unreachable, firstMs: defaultHostSettings.unreachable.lastMs },
        // One member sends thousands here, each of which is to be dropped for what it is.
        limits: { perKey: 0, perAddress: 0, perDomain: 0 },
      },
    })
    const enemy = new Enemy(keys, room, options.seed)
    await host.waitFor('loaded')
    host.go(plan)
    await host.waitFor('ready')
    const database = openSharedDatabase(join(folder, 'host.sqlite'))
    try {
      return await attack(options, { host, maildir, post, enemy, database })
    } finally {
      database.close()
    }
  } finally {
    await host.kill('SIGKILL')
    await post.stop()
    rmSync(folder, { recursive: true })
  }
}

type Field = {
  readonly host: HostProcess
  readonly maildir: TestMaildir
  readonly post: SmtpSink
  readonly enemy: Enemy
  readonly database: HostDatabase
}

async function attack(options: CampaignOptions, field: Field): Promise<CampaignReport> {
  const { host, maildir, post, enemy, database } = field
  let letters = 0
  let good = 0
  const dealtWith = () => until(() => (host.counts.get('letter') ?? 0) >= letters, host)
  const ask = async (agent: FakeAgent) => {
    const mail = agent.mailRequest(Date.now())
    maildir.deliver(mail)
    letters++
    good++
    await dealtWith()
    await until(() => post.repliesTo(agent.address).length > 0, host)
    return mail
  }
  for (let at = 0; at < 20; at++)
    enemy.remember(await ask(new FakeAgent(`known${at}`, enemy.host, enemy.room)))
  enemy.remember(await ask(enemy.member))
  await ask(enemy.gone)
  enemy.bounce = bounceOf(post.repliesTo(enemy.gone.address)[0] ?? '')
  maildir.deliver(enemy.bounce)
  letters++
  await dealtWith()

  const kinds = Object.values(hostileKinds)
  const totalWeight = kinds.reduce((sum, { weight }) => sum + weight, 0)
  const choose = () => {
    let left = (enemy.below(1_000_000) / 1_000_000) * totalWeight
    for (const one of kinds) {
      left -= one.weight
      if (left < 0) return one
    }
    return kinds[0]
  }
  const expected: Record<string, number> = { bounce: 1 }
  const rssMB: number[] = []
  let leftAlone = 0
  const nothingWaits = () => {
    const { mails, introductions } = database.counts()
    return mails + introductions === 0
  }
  const files = () => readdirSync(`/proc/${host.pid}/fd`).length - post.connections
  const filesBefore = files()
  const from = performance.now()
  for (let delivered = 0; delivered < options.letters; ) {
    for (let at = Math.min(options.batch, options.letters - delivered); at > 0; at--, delivered++) {
      const chosen = choose()
      const mail = chosen?.make(enemy) ?? ''
      const header = await parseHeader(Buffer.from(mail, 'latin1'))
      const isShown = isOurs(header, filter) || (mayBeReport(header, filter) && chosen?.reason === 'bounce')
      if (isShown) letters++
      else leftAlone++
      if (isShown && chosen?.reason) expected[chosen.reason] = (expected[chosen.reason] ?? 0) + 1
      maildir.deliver(mail)
    }
    await dealtWith()
    await clear(maildir)
    if (Math.floor((delivered * options.controls) / options.letters) > good - 22) {
      const mail = await ask(new FakeAgent(`control${good}`, enemy.host, enemy.room))
      enemy.remember(mail)
    }
    if (Math.floor((delivered * 10) / options.letters) > rssMB.length) {
      const rss = residentMB(host.pid)
      rssMB.push(rss)
      options.onProgress?.(`${delivered} letters, ${rss} MB, ${Math.round(performance.now() - from)} ms`)
    }
  }
  const tookMs = Math.round(performance.now() - from)
  await until(nothingWaits, host)
  const filesAfter = await fewest(files, filesBefore)
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
      repliesSent: post.mails.filter(({ text }) => /^In-Reply-To: /m.test(text)).length,
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

/** What the host leaves is not its own. Letters dealt with may still be about to be removed. */
async function clear(maildir: TestMaildir): Promise<void> {
  for (const path of maildir.mails) {
    const mail = maildir.read(path)
    const header = await parseHeader(mail ?? new Uint8Array())
    if (mail && !isOurs(header, filter) && !mayBeReport(header, filter)) maildir.remove(path)
  }
}

/** As mail servers write it. */
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
  const deadline = performance.now() + longestWaitMs
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

/** The least count of all that were looked at until one was `enough`, or for ten seconds: letters being read are open
 *  files, too. */
async function fewest(count: () => number, enough: number): Promise<number> {
  const deadline = performance.now() + 10_000
  let least = count()
  while (least > enough && performance.now() < deadline) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    least = Math.min(least, count())
  }
  return least
}
