// Real Postfix and Dovecot for a test, in a folder of their own on free ports: any user of mail.test can
// log in, send and receive. Needs root, because both daemons change to accounts of theirs.
// What they print and log is in `folder` (postfix.out, postfix.log, dovecot.out, dovecot.log), kept when
// POST_OFFICE_KEEP_LOGS is set.

import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dovecot23Config } from './dovecot-2.3-config.ts'
import { dovecot24Config } from './dovecot-2.4-config.ts'
import { findProgram } from './needs.ts'
import {
  mailDomain,
  mailOwnerId,
  mailPassword,
  type OfficePlan,
  postfixMain,
  postfixMaster,
} from './post-office-config.ts'
import {
  type Daemon,
  freePorts,
  startDaemon,
  startGuardian,
  stopDaemon,
  untilGreeting,
} from './post-office-processes.ts'

export { goneUser, mailDomain, mailPassword, unknownUser } from './post-office-config.ts'

export type PostOffice = {
  readonly folder: string
  address(user: string): string
  imapUrl(user: string): string
  pop3Url(user: string): string
  smtpUrl(user: string): string
  /** The Maildir of a user, made when it is not there yet. */
  maildirOf(user: string): string
  readonly ports: { readonly smtp: number; readonly imap: number; readonly pop3: number }
  stopMta(): Promise<void>
  startMta(): Promise<void>
  stopImap(): Promise<void>
  startImap(): Promise<void>
  /** Ends everything that was started and removes the folder. May be called twice. */
  stop(): Promise<void>
}

export type PostOfficeOptions = {
  /** Address all three listen on; default 127.0.0.1. URLs carry `?tls=never` where it is not loopback. */
  readonly listen?: string
  /** Name of the network namespace all processes run in. */
  readonly netns?: string
  /** Everybody's password; default `mailPassword`. No spaces. */
  readonly password?: string
  /** The capabilities Dovecot shows, to stand for a poorer server. */
  readonly imapCapability?: string
  /** Runs for every mail that is delivered. Needs dovecot-sieve. */
  readonly sieve?: string
  /** What Postfix finds out of mail, by the user it comes from: an Authentication-Results field on top of it. */
  readonly authenticationResults?: Readonly<Record<string, string>>
  /** What each mailbox may hold; no limit when left out. */
  readonly quotaBytes?: number
  /** Dovecot offers STARTTLS and STLS with a certificate that nobody has signed. */
  readonly tls?: boolean
  /** Access tokens let in, too: the URL, to which a token is appended, says whose it is (see token-server.ts). */
  readonly tokenInfoUrl?: string
}

const attempts = 3

export async function startPostOffice(options: PostOfficeOptions = {}): Promise<PostOffice> {
  for (let attempt = 1; ; attempt++) {
    const office = await prepare(options)
    try {
      // In this order: Postfix asks Dovecot who may log in, and gives up for a while when nobody answers.
      await office.startImap()
      await office.startMta()
      return office
    } catch (error) {
      await office.stop()
      if (attempt === attempts) throw error
    }
  }
}

async function prepare({
  listen = '127.0.0.1',
  netns,
  password = mailPassword,
  imapCapability = '',
  sieve = '',
  authenticationResults = {},
  quotaBytes = 0,
  tls = false,
  tokenInfoUrl = '',
}: PostOfficeOptions): Promise<PostOffice> {
  // Sockets live below: their path must stay under 108 bytes, whatever TMPDIR is.
  const folder = await mkdtemp('/tmp/post-office-')
  const [smtpPort, imapPort, pop3Port] = (await freePorts(3)) as [number, number, number]
  const guardian = startGuardian(folder)
  const plan: OfficePlan = {
    folder,
    listen,
    smtpPort,
    imapPort,
    pop3Port,
    password,
    imapCapability,
    sieve,
    authenticationResults,
    quotaBytes,
    tls,
    tokenInfoUrl,
  }
  layOut(plan)

  let mta: Daemon | undefined
  let imap: Daemon | undefined
  let stopped = false

  async function startMta(): Promise<void> {
    const master = join(postfixSetting('daemon_directory'), 'master')
    const command = [master, '-c', join(folder, 'postfix'), '-s']
    mta = startDaemon({ name: 'postfix', command, folder, log: join(folder, 'postfix.log'), netns })
    guardian.watch(mta)
    await untilGreeting(mta, listen, smtpPort, netns)
  }
  async function startImap(): Promise<void> {
    const command = [dovecotProgram(), '-F', '-c', join(folder, 'dovecot.conf')]
    imap = startDaemon({ name: 'dovecot', command, folder, log: join(folder, 'dovecot.log'), netns })
    guardian.watch(imap)
    await untilGreeting(imap, listen, imapPort, netns)
  }
  async function end(daemon: Daemon): Promise<void> {
    // At the end nothing is worth waiting for.
    await stopDaemon(daemon, stopped ? 50 : 5_000)
    guardian.forget(daemon)
  }
  async function stopMta(): Promise<void> {
    if (mta) await end(mta)
    mta = undefined
  }
  async function stopImap(): Promise<void> {
    if (imap) await end(imap)
    imap = undefined
  }
  async function stop(): Promise<void> {
    if (stopped) return
    stopped = true
    await Promise.all([stopMta(), stopImap()])
    guardian.dismiss()
    if (!process.env.POST_OFFICE_KEEP_LOGS) await rm(folder, { recursive: true, force: true, maxRetries: 5 })
  }

  const isLoopback = listen === '::1' || listen.startsWith('127.')
  const url = (scheme: string, user: string, port: number) => {
    const login = `${encodeURIComponent(`${user}@${mailDomain}`)}:${encodeURIComponent(password)}`
    const place = `${listen.includes(':') ? `[${listen}]` : listen}:${port}`
    return `${scheme}://${login}@${place}${isLoopback ? '' : '?tls=never'}`
  }
  return {
    folder,
    address: (user) => `${user}@${mailDomain}`,
    imapUrl: (user) => url('imap', user, imapPort),
    pop3Url: (user) => url('pop3', user, pop3Port),
    smtpUrl: (user) => url('smtp', user, smtpPort),
    maildirOf: (user) => makeMaildir(join(folder, 'mail', user)),
    ports: { smtp: smtpPort, imap: imapPort, pop3: pop3Port },
    stopMta,
    startMta,
    stopImap,
    startImap,
    stop,
  }
}

/** Writes configuration and makes the folders Postfix would only make in its slow start-up check. */
function layOut(plan: OfficePlan): void {
  const { folder } = plan
  chmodSync(folder, 0o755)
  const postfixId = userId('postfix')
  const make = (name: string, owner: number, mode: number) => {
    const path = join(folder, name)
    mkdirSync(path)
    chownSync(path, owner, -1)
    chmodSync(path, mode)
  }
  make('postfix', 0, 0o755)
  make('postfix-data', postfixId, 0o700)
  make('queue', 0, 0o755)
  for (const name of [
    'active',
    'bounce',
    'corrupt',
    'defer',
    'deferred',
    'flush',
    'hold',
    'incoming',
    'saved',
    'trace',
  ])
    make(`queue/${name}`, postfixId, 0o700)
  make('queue/private', postfixId, 0o700)
  make('queue/public', postfixId, 0o710)
  make('queue/maildrop', postfixId, 0o730)
  make('queue/pid', 0, 0o755)
  make('mail', mailOwnerId, 0o755)
  make('home', mailOwnerId, 0o755)
  make('dovecot', 0, 0o755)
  make('dovecot-state', 0, 0o755)
  writeFileSync(join(folder, 'postfix/main.cf'), postfixMain(plan))
  writeFileSync(join(folder, 'postfix/master.cf'), postfixMaster(plan))
  // sysexits(3): EX_NOUSER.
  writeFileSync(join(folder, 'no-such-user'), '#!/bin/sh\nexit 67\n', { mode: 0o755 })
  for (const [name, text] of Object.entries(dovecotConfig(plan))) writeFileSync(join(folder, name), text)
  if (plan.sieve !== '') {
    // Dovecot compiles the script beside it.
    make('sieve', mailOwnerId, 0o755)
    writeFileSync(join(folder, 'sieve/before.sieve'), plan.sieve)
  }
  if (plan.tls) makeCertificate(folder)
  // Postfix waits up to two seconds for a file as young as this to be finished.
  const past = new Date(Date.now() - 60_000)
  utimesSync(join(folder, 'postfix/main.cf'), past, past)
}

function makeCertificate(folder: string): void {
  const made = spawnSync('openssl', [
    ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'],
    ...['-subj', '/CN=localhost', '-keyout', join(folder, 'tls.key'), '-out', join(folder, 'tls.crt')],
  ])
  if (made.status !== 0) throw new Error(`openssl made no certificate: ${made.stderr}`)
}

function makeMaildir(path: string): string {
  for (const part of ['', 'tmp', 'new', 'cur']) {
    const folder = join(path, part)
    // A mail server may make it at this very moment.
    if (mkdirSync(folder, { recursive: true }) === undefined) continue
    chownSync(folder, mailOwnerId, mailOwnerId)
  }
  return path
}

function userId(name: string): number {
  const answer = spawnSync('id', ['-u', name], { encoding: 'utf8' })
  if (answer.status !== 0) throw new Error(`this machine has no account ${name}; install the package ${name}`)
  return Number(answer.stdout)
}

const dovecotProgram = () => findProgram('dovecot') ?? 'dovecot'

/** The texts by file name. The two languages have hardly a line in common. */
function dovecotConfig(plan: OfficePlan): Readonly<Record<string, string>> {
  const { stdout = '', error } = spawnSync(dovecotProgram(), ['--version'], { encoding: 'utf8' })
  if (error) throw error
  return stdout.startsWith('2.3.') ? dovecot23Config(plan) : dovecot24Config(plan)
}

function postfixSetting(name: string): string {
  const answer = spawnSync(findProgram('postconf') ?? 'postconf', ['-dh', name], { encoding: 'utf8' })
  return answer.stdout.trim()
}
