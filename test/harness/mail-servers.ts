// Real Postfix and Dovecot for a test, in a temporary folder on free ports. Any user of mail.test can log in,
// send and receive. Needs root, because both daemons switch to their own accounts. Their output and logs are in
// `folder` (postfix.out, postfix.log, dovecot.out, dovecot.log), and are kept when POST_OFFICE_KEEP_LOGS is
// set.

import { spawnSync } from 'node:child_process'
import { chmodSync, chownSync, mkdirSync, utimesSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { dovecot23Config } from './dovecot-2.3-config.ts'
import { dovecot24Config } from './dovecot-2.4-config.ts'
import {
  type MailServersPlan,
  mailDomain,
  mailOwnerId,
  mailPassword,
  postfixMain,
  postfixMaster,
} from './mail-servers-config.ts'
import {
  type Daemon,
  freePorts,
  startDaemon,
  startGuardian,
  stopDaemon,
  untilGreeting,
} from './mail-servers-processes.ts'
import { findProgram } from './needs.ts'

export { goneUser, mailDomain, mailPassword, unknownUser } from './mail-servers-config.ts'

export type MailServers = {
  readonly folder: string
  address(user: string): string
  imapUrl(user: string): string
  pop3Url(user: string): string
  smtpUrl(user: string): string
  /** The Maildir of a user; created if necessary. */
  maildirOf(user: string): string
  readonly ports: { readonly smtp: number; readonly imap: number; readonly pop3: number }
  stopMta(): Promise<void>
  startMta(): Promise<void>
  stopImap(): Promise<void>
  startImap(): Promise<void>
  /** Stops the daemons and removes the folder. May be called twice. */
  stop(): Promise<void>
}

export type MailServersOptions = {
  /** Address of all three ports; default 127.0.0.1. For other addresses URLs have `?tls=never`. */
  readonly listen?: string
  /** Network namespace of all processes. */
  readonly netns?: string
  /** Password of all users; default `mailPassword`. No spaces. */
  readonly password?: string
  /** Capabilities that Dovecot announces, to simulate a simpler server. */
  readonly imapCapability?: string
  /** Sieve script for every delivered mail. Needs dovecot-sieve. */
  readonly sieve?: string
  /** By sender: the Authentication-Results field that Postfix adds to their mail. */
  readonly authenticationResults?: Readonly<Record<string, string>>
  /** Quota of each mailbox; no limit by default. */
  readonly quotaBytes?: number
  /** Dovecot offers STARTTLS and STLS with a self-signed certificate. */
  readonly tls?: boolean
  /**
   * Also accepts access tokens. The URL, with the token appended, returns the token's owner (see
   * token-server.ts).
   */
  readonly tokenInfoUrl?: string
}

const attempts = 3

export async function startMailServers(options: MailServersOptions = {}): Promise<MailServers> {
  for (let attempt = 1; ; attempt++) {
    const mailServers = await prepare(options)
    try {
      // Dovecot first: Postfix asks it for logins, and pauses for a while when it does not answer.
      await mailServers.startImap()
      await mailServers.startMta()
      return mailServers
    } catch (error) {
      await mailServers.stop()
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
}: MailServersOptions): Promise<MailServers> {
  // The folder has Unix sockets. Their paths must stay under 108 bytes, so it is not below TMPDIR.
  const folder = await mkdtemp('/tmp/mail-servers-')
  const [smtpPort, imapPort, pop3Port] = (await freePorts(3)) as [number, number, number]
  const guardian = startGuardian(folder)
  const plan: MailServersPlan = {
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
  createFiles(plan)

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
    // At the end no clean shutdown is needed.
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
    const hostAndPort = `${listen.includes(':') ? `[${listen}]` : listen}:${port}`
    return `${scheme}://${login}@${hostAndPort}${isLoopback ? '' : '?tls=never'}`
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

/**
 * Writes the configuration and creates the folders that Postfix would create only in its slow start-up check.
 */
function createFiles(plan: MailServersPlan): void {
  const { folder } = plan
  chmodSync(folder, 0o755)
  const postfixId = userId('postfix')
  const createFolder = (name: string, owner: number, mode: number) => {
    const path = join(folder, name)
    mkdirSync(path)
    chownSync(path, owner, -1)
    chmodSync(path, mode)
  }
  createFolder('postfix', 0, 0o755)
  createFolder('postfix-data', postfixId, 0o700)
  createFolder('queue', 0, 0o755)
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
    createFolder(`queue/${name}`, postfixId, 0o700)
  createFolder('queue/private', postfixId, 0o700)
  createFolder('queue/public', postfixId, 0o710)
  createFolder('queue/maildrop', postfixId, 0o730)
  createFolder('queue/pid', 0, 0o755)
  createFolder('mail', mailOwnerId, 0o755)
  createFolder('home', mailOwnerId, 0o755)
  createFolder('dovecot', 0, 0o755)
  createFolder('dovecot-state', 0, 0o755)
  writeFileSync(join(folder, 'postfix/main.cf'), postfixMain(plan))
  writeFileSync(join(folder, 'postfix/master.cf'), postfixMaster(plan))
  // sysexits(3): EX_NOUSER.
  writeFileSync(join(folder, 'no-such-user'), '#!/bin/sh\nexit 67\n', { mode: 0o755 })
  for (const [name, text] of Object.entries(dovecotConfig(plan))) writeFileSync(join(folder, name), text)
  if (plan.sieve !== '') {
    // Dovecot writes the compiled script into the same folder.
    createFolder('sieve', mailOwnerId, 0o755)
    writeFileSync(join(folder, 'sieve/before.sieve'), plan.sieve)
  }
  if (plan.tls) makeCertificate(folder)
  // Postfix waits up to two seconds when this file is very new.
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
  for (const subfolder of ['', 'tmp', 'new', 'cur']) {
    const folder = join(path, subfolder)
    // A mail server may create it at the same moment.
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

/** File contents by file name. The syntax of the two versions differs in nearly every line. */
function dovecotConfig(plan: MailServersPlan): Readonly<Record<string, string>> {
  const { stdout = '', error } = spawnSync(dovecotProgram(), ['--version'], { encoding: 'utf8' })
  if (error) throw error
  return stdout.startsWith('2.3.') ? dovecot23Config(plan) : dovecot24Config(plan)
}

function postfixSetting(name: string): string {
  const answer = spawnSync(findProgram('postconf') ?? 'postconf', ['-dh', name], { encoding: 'utf8' })
  return answer.stdout.trim()
}
