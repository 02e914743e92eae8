// Hosts and agents as people set them up and run them, at mailboxes of one post office; removed at the end of a test.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { type ChildEvent, PeerpostProcess } from '../../src/cli/child-process.ts'
import { startAddressServer } from '../../src/stun-server/stun-server.ts'
import { type Defer, deferIn, type Ending } from '../harness/defer.ts'
import type { PostOffice } from '../harness/post-office.ts'

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

export class HostTown {
  readonly folder: string
  readonly #office: PostOffice
  readonly #defer: Defer
  readonly #stun: readonly string[]

  private constructor(office: PostOffice, folder: string, defer: Defer, stun: readonly string[]) {
    this.#office = office
    this.folder = folder
    this.#defer = defer
    this.#stun = stun
  }

  static async open(context: Ending, office: PostOffice): Promise<HostTown> {
    const defer = deferIn(context)
    const folder = mkdtempSync(join(tmpdir(), 'peerpost-town-'))
    defer(() => rmSync(folder, { recursive: true, force: true }))
    const stun = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
    defer(() => stun.close())
    const servers = stun.endpoints.flatMap((endpoint) => ['--stun', formatEndpoint(endpoint)])
    return new HostTown(office, folder, defer, servers)
  }

  config(name: string, role: 'host' | 'agent' = 'host'): string {
    return join(this.folder, name, `${role}.toml`)
  }

  run(...args: string[]): Promise<string> {
    return PeerpostProcess.run(args.slice(0, 2).join(' '), args)
  }

  /** At a mailbox of the same name, if no other is named. */
  async makeHost(name: string, more: readonly string[] = [], user = name): Promise<void> {
    const stun = more.includes('--representative') || more.includes('--join') ? [] : this.#stun
    await this.run('init', 'host', ...this.#placeOf(name, user), ...stun, ...more)
  }

  async makeAgent(name: string, inviter: string): Promise<void> {
    const invite = await this.run('invite', '--config', this.config(inviter))
    await this.run('init', 'agent', ...this.#placeOf(name), '--invite', invite, '--name', name)
  }

  cardOf(name: string, ...more: string[]): Promise<string> {
    return this.run('host', 'card', '--config', this.config(name), ...more)
  }

  /** Makes `name` known to `others`. */
  async introduce(name: string, others: readonly string[]): Promise<void> {
    const card = await this.cardOf(name)
    for (const other of others)
      if (other !== name) await this.run('host', 'peer', 'add', '--config', this.config(other), card)
  }

  /** Hosts of one room that know each other: the first makes it, the others join. `more` of all of them. */
  async makeHosts([first, ...others]: readonly [string, ...string[]], more: readonly string[] = []) {
    await this.makeHost(first, more)
    const room = await this.cardOf(first, '--room', 'friends')
    for (const name of others) await this.makeHost(name, ['--join', room])
    for (const name of [first, ...others]) await this.introduce(name, [first, ...others])
  }

  async makeRepresentation(representative: string, workers: readonly [string, ...string[]]): Promise<void> {
    await this.makeHost(representative, ['--representative'])
    await this.makeHosts(workers, ['--represent', await this.cardOf(representative)])
    for (const name of workers) await this.introduce(name, [representative])
  }

  /** `prefix`: a command that runs the program. */
  start(name: string, role: 'host' | 'agent' = 'agent', prefix: readonly string[] = []): PeerpostProcess {
    const command = [role, '--config', this.config(name, role), '--json']
    const started = new PeerpostProcess(name, command, undefined, prefix)
    this.#defer(() => started.stop(5_000))
    return started
  }

  #placeOf(name: string, user = name): readonly string[] {
    const office = this.#office
    office.maildirOf(user)
    return [
      ...['--dir', join(this.folder, name), '--address', office.address(user), '--yes'],
      ...['--receive', office.imapUrl(user), '--send', office.smtpUrl(user)],
    ]
  }
}
