// Mailboxes, and hosts and agents at them as people set them up and run them: each command a process.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { type ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { TestMailServer } from '../../src/mail/test-mail-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startAddressServer } from '../../src/stun-server/stun-server.ts'
import type { Defer } from './defer.ts'
import type { PostOffice } from './post-office.ts'

const domain = 'town.test'

export type Mail = { readonly address: string; readonly receive: string; readonly send: string }

/** Of a config: an old line and the new one. */
type Change = readonly [before: string, after: string]

export type TownOptions = {
  /** Of each user; left out: mailboxes of a test mail server that the town has for itself. */
  readonly mailOf?: (user: string) => Mail
  /** What agents ask for their addresses; left out: a server that the town has for itself. */
  readonly stun?: readonly string[]
  /** `NAME=VALUE`, for all daemons. */
  readonly environment?: readonly string[]
}

type Run = {
  /** A command that runs the program, such as `env NAME=VALUE`. */
  readonly prefix?: readonly string[]
  /** `--quiet`: nothing on standard output. */
  readonly output?: '--json' | '--quiet'
}

/** IMAP and SMTP of real mail servers. */
export function mailAt(office: PostOffice): (user: string) => Mail {
  return (user) => {
    office.maildirOf(user)
    return { address: office.address(user), receive: office.imapUrl(user), send: office.smtpUrl(user) }
  }
}

/** Nicknames of those it has a link with, as far as it told. */
export function linkedTo(agent: PeerpostProcess): Set<string> {
  const peers = new Set<string>()
  for (const event of agent.events) {
    const { name } = (event as ChildEvent & { peer?: { name: string } }).peer ?? {}
    if (name && event.event === 'connected') peers.add(name)
    if (name && event.event === 'disconnected') peers.delete(name)
  }
  return peers
}

export class Town {
  readonly folder = mkdtempSync(join(tmpdir(), 'peerpost-town-'))
  readonly #mailOf: (user: string) => Mail | Promise<Mail>
  readonly #stun: readonly string[]
  readonly #environment: readonly string[]
  readonly #daemons: PeerpostProcess[] = []
  /** One of each host, for everybody. */
  readonly #invites = new Map<string, Promise<string>>()
  #host: PeerpostProcess | null = null

  private constructor(
    mailOf: (user: string) => Mail | Promise<Mail>,
    stun: readonly string[],
    environment: readonly string[],
  ) {
    this.#mailOf = mailOf
    this.#stun = stun
    this.#environment = environment
  }

  /** Without any host. */
  static async open(defer: Defer, options: TownOptions = {}): Promise<Town> {
    const mailOf = options.mailOf ?? (await startMail(defer))
    const town = new Town(mailOf, options.stun ?? (await startStun(defer)), options.environment ?? [])
    defer(() => town.#close())
    return town
  }

  /** With a host called `host` that is ready, and an invite of it. */
  static async withHost(
    defer: Defer,
    { hostChanges = [], ...options }: TownOptions & { readonly hostChanges?: readonly Change[] } = {},
  ): Promise<Town> {
    const town = await Town.open(defer, options)
    await town.makeHost('host')
    change(town.hostConfig(), hostChanges)
    await town.#inviteOf('host')
    town.#host = town.startHost()
    await town.#host.waitFor('ready')
    return town
  }

  /** The one that `withHost` started. */
  get host(): PeerpostProcess {
    if (!this.#host) throw new Error('there is no host')
    return this.#host
  }

  hostConfig(name = 'host'): string {
    return join(this.folder, name, 'host.toml')
  }

  agentConfig(name: string): string {
    return join(this.folder, name, 'agent.toml')
  }

  /** At the mailbox of the same name, if no other is named. */
  async makeHost(name: string, more: readonly string[] = [], user = name): Promise<void> {
    const hasStun = !more.includes('--representative') && !more.includes('--join')
    const stun = hasStun ? this.#stun.flatMap((server) => ['--stun', server]) : []
    await run('init', 'host', '--dir', join(this.folder, name), ...(await this.#mail(user)), ...stun, ...more)
  }

  async makeAgent(name: string, inviter = 'host', changes: readonly Change[] = []): Promise<void> {
    const who = ['--invite', await this.#inviteOf(inviter), '--name', name]
    await run('init', 'agent', '--dir', join(this.folder, name), ...who, ...(await this.#mail(name)))
    change(this.agentConfig(name), changes)
  }

  cardOf(name: string, ...more: string[]): Promise<string> {
    return run('host', 'card', '--config', this.hostConfig(name), ...more)
  }

  /** Makes each of `names` known to each of `others`. */
  async introduce(names: readonly string[], others: readonly string[]): Promise<void> {
    const cards = new Map(
      await Promise.all(names.map(async (name) => [name, await this.cardOf(name)] as const)),
    )
    await Promise.all(
      others.map(async (other) => {
        for (const [name, card] of cards)
          if (name !== other) await run('host', 'peer', 'add', '--config', this.hostConfig(other), card)
      }),
    )
  }

  /** Hosts of one room that know each other: the first makes it, the others join. */
  async makeHosts([first, ...others]: readonly [string, ...string[]], more: readonly string[] = []) {
    await this.makeHost(first, more)
    const room = await this.cardOf(first, '--room', 'friends')
    await Promise.all(others.map((name) => this.makeHost(name, ['--join', room])))
    await this.introduce([first, ...others], [first, ...others])
  }

  async makeRepresentation(representative: string, workers: readonly [string, ...string[]]): Promise<void> {
    await this.makeHost(representative, ['--representative'])
    await this.makeHosts(workers, ['--represent', await this.cardOf(representative)])
    await this.introduce(workers, [representative])
  }

  startHost(name = 'host', more: readonly string[] = [], how: Run = {}): PeerpostProcess {
    return this.#start(name, ['host', '--config', this.hostConfig(name), ...more], how)
  }

  startAgent(name: string, more: readonly string[] = [], how: Run = {}): PeerpostProcess {
    return this.#start(name, ['agent', '--config', this.agentConfig(name), ...more], how)
  }

  #start(name: string, command: readonly string[], { prefix = [], output = '--json' }: Run): PeerpostProcess {
    const everybodys = this.#environment.length > 0 ? ['env', ...this.#environment] : []
    const daemon = new PeerpostProcess(name, [...command, output], undefined, [...everybodys, ...prefix])
    this.#daemons.push(daemon)
    return daemon
  }

  #inviteOf(host: string): Promise<string> {
    const made = this.#invites.get(host) ?? run('invite', '--config', this.hostConfig(host))
    this.#invites.set(host, made)
    return made
  }

  async #mail(user: string): Promise<string[]> {
    const { address, receive, send } = await this.#mailOf(user)
    return ['--address', address, '--receive', receive, '--send', send, '--yes']
  }

  async #close(): Promise<void> {
    // Nothing of them is worth waiting for.
    for (const daemon of this.#daemons) daemon.kill('SIGKILL')
    await Promise.all(this.#daemons.map(({ ended }) => ended))
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** The output of a command that ends by itself. */
function run(...args: readonly string[]): Promise<string> {
  return PeerpostProcess.run(args.slice(0, 2).join(' '), args)
}

function change(config: string, changes: readonly Change[]): void {
  let text = readFileSync(config, 'utf8')
  for (const [before, after] of changes) {
    if (!text.includes(before)) throw new Error(`${config} has no line ${before}`)
    text = text.replace(before, after)
  }
  writeFileSync(config, text)
}

async function startMail(defer: Defer): Promise<(user: string) => Promise<Mail>> {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-town-mail-'))
  defer(() => rmSync(folder, { recursive: true, force: true }))
  const server = new TestMailServer({ clock: systemClock, folder, domain })
  const port = await server.start()
  defer(() => server.stop())
  return async (user) => {
    const address = `${user}@${domain}`
    const receive = `maildir:${await server.maildirOf(address)}`
    return { address, receive, send: `smtp://127.0.0.1:${port}` }
  }
}

async function startStun(defer: Defer): Promise<readonly string[]> {
  const server = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
  defer(() => server.close())
  return server.endpoints.map(formatEndpoint)
}
