// Sets up mailboxes, hosts and agents and runs them as users do: each command is a process.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { type ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { TestMailServer } from '../../src/mail/test-mail-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startAddressServer } from '../../src/stun-server/stun-server.ts'
import type { Defer } from './defer.ts'
import type { MailServers } from './mail-servers.ts'

const domain = 'deployment.test'

export type Mail = { readonly address: string; readonly receive: string; readonly send: string }

/** A change of a config file: an old line and its replacement. */
type ConfigChange = readonly [before: string, after: string]

export type DeploymentOptions = {
  /** Mail settings of each user; default: mailboxes of the deployment's own test mail server. */
  readonly mailOf?: (user: string) => Mail
  /** STUN servers of the agents; default: the deployment's own server. */
  readonly stun?: readonly string[]
  /** Environment of all daemons, as `NAME=VALUE`. */
  readonly environment?: readonly string[]
}

type RunOptions = {
  /** Prefix of the command, such as `env NAME=VALUE`. */
  readonly prefix?: readonly string[]
  /** With `--quiet` nothing is printed on standard output. */
  readonly output?: '--json' | '--quiet'
}

/** Mail settings at real mail servers: IMAP and SMTP. */
export function mailAt(mailServers: MailServers): (user: string) => Mail {
  return (user) => {
    mailServers.maildirOf(user)
    return {
      address: mailServers.address(user),
      receive: mailServers.imapUrl(user),
      send: mailServers.smtpUrl(user),
    }
  }
}

/** Nicknames of the peers that the agent is linked with, by its events. */
export function linkedTo(agent: PeerpostProcess): Set<string> {
  const peers = new Set<string>()
  for (const event of agent.events) {
    const { name } = (event as ChildEvent & { peer?: { name: string } }).peer ?? {}
    if (name && event.event === 'connected') peers.add(name)
    if (name && event.event === 'disconnected') peers.delete(name)
  }
  return peers
}

export class TestDeployment {
  readonly folder = mkdtempSync(join(tmpdir(), 'peerpost-test-'))
  readonly #mailOf: (user: string) => Mail | Promise<Mail>
  readonly #stun: readonly string[]
  readonly #environment: readonly string[]
  readonly #daemons: PeerpostProcess[] = []
  /** One invite of each host, for all agents. */
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

  /** Opens a deployment without a host. */
  static async open(defer: Defer, options: DeploymentOptions = {}): Promise<TestDeployment> {
    const mailOf = options.mailOf ?? (await startMail(defer))
    const deployment = new TestDeployment(
      mailOf,
      options.stun ?? (await startStun(defer)),
      options.environment ?? [],
    )
    defer(() => deployment.#close())
    return deployment
  }

  /** Opens a deployment with a running host named `host`, and an invite of it. */
  static async withHost(
    defer: Defer,
    {
      hostChanges = [],
      ...options
    }: DeploymentOptions & { readonly hostChanges?: readonly ConfigChange[] } = {},
  ): Promise<TestDeployment> {
    const deployment = await TestDeployment.open(defer, options)
    await deployment.makeHost('host')
    change(deployment.hostConfig(), hostChanges)
    await deployment.#inviteOf('host')
    deployment.#host = deployment.startHost()
    await deployment.#host.waitFor('ready')
    return deployment
  }

  /** The host that `withHost` started. */
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

  /** Creates a host; its mailbox has the same name by default. */
  async makeHost(name: string, moreArgs: readonly string[] = [], user = name): Promise<void> {
    const hasStun = !moreArgs.includes('--representative') && !moreArgs.includes('--join')
    const stun = hasStun ? this.#stun.flatMap((server) => ['--stun', server]) : []
    await run(
      'init',
      'host',
      '--dir',
      join(this.folder, name),
      ...(await this.#mail(user)),
      ...stun,
      ...moreArgs,
    )
  }

  async makeAgent(name: string, inviter = 'host', changes: readonly ConfigChange[] = []): Promise<void> {
    const inviteAndName = ['--invite', await this.#inviteOf(inviter), '--name', name]
    await run(
      'init',
      'agent',
      '--dir',
      join(this.folder, name),
      ...inviteAndName,
      ...(await this.#mail(name)),
    )
    change(this.agentConfig(name), changes)
  }

  cardOf(name: string, ...moreArgs: string[]): Promise<string> {
    return run('host', 'card', '--config', this.hostConfig(name), ...moreArgs)
  }

  /** Adds each of `names` as a peer host to each of `others`. */
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

  /** Creates hosts of one room that know each other: the first creates the room, the others join. */
  async makeHosts([first, ...others]: readonly [string, ...string[]], moreArgs: readonly string[] = []) {
    await this.makeHost(first, moreArgs)
    const room = await this.cardOf(first, '--room', 'friends')
    await Promise.all(others.map((name) => this.makeHost(name, ['--join', room])))
    await this.introduce([first, ...others], [first, ...others])
  }

  async makeRepresentation(representative: string, workers: readonly [string, ...string[]]): Promise<void> {
    await this.makeHost(representative, ['--representative'])
    await this.makeHosts(workers, ['--represent', await this.cardOf(representative)])
    await this.introduce(workers, [representative])
  }

  startHost(name = 'host', moreArgs: readonly string[] = [], options: RunOptions = {}): PeerpostProcess {
    return this.#start(name, ['host', '--config', this.hostConfig(name), ...moreArgs], options)
  }

  startAgent(name: string, moreArgs: readonly string[] = [], options: RunOptions = {}): PeerpostProcess {
    return this.#start(name, ['agent', '--config', this.agentConfig(name), ...moreArgs], options)
  }

  #start(
    name: string,
    command: readonly string[],
    { prefix = [], output = '--json' }: RunOptions,
  ): PeerpostProcess {
    const environment = this.#environment.length > 0 ? ['env', ...this.#environment] : []
    const daemon = new PeerpostProcess(name, [...command, output], undefined, [...environment, ...prefix])
    this.#daemons.push(daemon)
    return daemon
  }

  #inviteOf(host: string): Promise<string> {
    const invite = this.#invites.get(host) ?? run('invite', '--config', this.hostConfig(host))
    this.#invites.set(host, invite)
    return invite
  }

  async #mail(user: string): Promise<string[]> {
    const { address, receive, send } = await this.#mailOf(user)
    return ['--address', address, '--receive', receive, '--send', send, '--yes']
  }

  async #close(): Promise<void> {
    // A clean shutdown is not needed.
    for (const daemon of this.#daemons) daemon.kill('SIGKILL')
    await Promise.all(this.#daemons.map(({ ended }) => ended))
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** Runs a command that ends by itself, and returns its output. */
function run(...args: readonly string[]): Promise<string> {
  return PeerpostProcess.run(args.slice(0, 2).join(' '), args)
}

function change(config: string, changes: readonly ConfigChange[]): void {
  let text = readFileSync(config, 'utf8')
  for (const [before, after] of changes) {
    if (!text.includes(before)) throw new Error(`${config} has no line ${before}`)
    text = text.replace(before, after)
  }
  writeFileSync(config, text)
}

async function startMail(defer: Defer): Promise<(user: string) => Promise<Mail>> {
  const folder = mkdtempSync(join(tmpdir(), 'peerpost-test-mail-'))
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
