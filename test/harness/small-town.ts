// A post office, a host and agents on this computer, each a process as a user would run it.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { PeerpostProcess } from '../../src/cli/child-process.ts'
import { TestMailServer } from '../../src/mail/test-mail-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startAddressServer } from '../../src/stun-server/stun-server.ts'
import type { PostOffice } from './post-office.ts'

const domain = 'town.test'
/** A second is usual, and a busy machine needs many. */
const stopMs = 30_000

/** Of a config: an old line and the new one. */
type Change = readonly [before: string, after: string]

export type TownOptions = {
  /** Real mail servers in the place of the embedded ones; they stay the caller's. */
  readonly office?: PostOffice
  readonly hostChanges?: readonly Change[]
  /** `NAME=VALUE`, for all daemons. */
  readonly environment?: readonly string[]
}

export class SmallTown {
  readonly folder = mkdtempSync(join(tmpdir(), 'peerpost-town-'))
  readonly #options: TownOptions
  readonly #office = new TestMailServer({
    clock: systemClock,
    folder: join(this.folder, 'mail'),
    domain,
  })
  readonly #ends: (() => Promise<unknown>)[] = []
  #smtpPort = 0
  #invite = ''
  #host: PeerpostProcess | null = null

  private constructor(options: TownOptions) {
    this.#options = options
  }

  /** With a host that is ready. `defer` is called with what ends it all. */
  static async open(
    defer: (end: () => Promise<unknown>) => void,
    options: TownOptions = {},
  ): Promise<SmallTown> {
    const town = new SmallTown(options)
    defer(() => town.close())
    await town.#open()
    return town
  }

  configOf(name: string): string {
    return join(this.folder, name, name === 'host' ? 'host.toml' : 'agent.toml')
  }

  /** Makes the folder of an agent. */
  async settle(name: string, changes: readonly Change[] = []): Promise<void> {
    const args = ['init', 'agent', '--dir', join(this.folder, name), '--invite', this.#invite, '--name', name]
    await PeerpostProcess.run(`init agent ${name}`, [...args, ...(await this.#mailOf(name))])
    this.#change(name, changes)
  }

  #change(name: string, changes: readonly Change[]): void {
    let text = readFileSync(this.configOf(name), 'utf8')
    for (const [before, after] of changes) {
      if (!text.includes(before)) throw new Error(`the config of ${name} has no line ${before}`)
      text = text.replace(before, after)
    }
    writeFileSync(this.configOf(name), text)
  }

  run(name: string, ...more: readonly string[]): PeerpostProcess {
    return this.runWith([], name, ...more)
  }

  /** `prefix` is a command that runs the program, such as `env NAME=VALUE`. */
  runWith(prefix: readonly string[], name: string, ...more: readonly string[]): PeerpostProcess {
    return this.#start(prefix, name, ['--json', ...more])
  }

  /** Without anything on standard output. */
  runQuietly(name: string, environment: readonly string[]): PeerpostProcess {
    return this.#start(['env', ...environment], name, ['--quiet'])
  }

  /** The host that `open` started. */
  get host(): PeerpostProcess {
    if (!this.#host) throw new Error('there is no host')
    return this.#host
  }

  async stopHost(): Promise<void> {
    await this.host.stop(stopMs)
  }

  #start(prefix: readonly string[], name: string, more: readonly string[]): PeerpostProcess {
    const command = [name === 'host' ? 'host' : 'agent', '--config', this.configOf(name), ...more]
    const { environment = [] } = this.#options
    const everybodys = environment.length > 0 ? ['env', ...environment] : []
    const child = new PeerpostProcess(name, command, undefined, [...everybodys, ...prefix])
    this.#ends.push(() => child.stop(stopMs))
    return child
  }

  async close(): Promise<void> {
    for (const end of this.#ends.reverse()) await end()
    rmSync(this.folder, { recursive: true, force: true })
  }

  async #open(): Promise<void> {
    if (!this.#options.office) {
      this.#smtpPort = await this.#office.start()
      this.#ends.push(() => this.#office.stop())
    }
    const stun = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
    this.#ends.push(() => stun.close())
    const servers = stun.endpoints.flatMap((endpoint) => ['--stun', formatEndpoint(endpoint)])
    const args = ['init', 'host', '--dir', join(this.folder, 'host'), ...(await this.#mailOf('host'))]
    await PeerpostProcess.run('init host', [...args, ...servers])
    this.#change('host', this.#options.hostChanges ?? [])
    this.#invite = await PeerpostProcess.run('invite', ['invite', '--config', this.configOf('host')])
    this.#host = this.run('host')
    await this.#host.waitFor('ready')
  }

  async #mailOf(name: string): Promise<string[]> {
    const { office } = this.#options
    if (office) {
      const mail = ['--address', office.address(name), '--receive', office.imapUrl(name)]
      return [...mail, '--send', office.smtpUrl(name), '--yes']
    }
    const address = `${name}@${domain}`
    const maildir = await this.#office.maildirOf(address)
    const send = `smtp://127.0.0.1:${this.#smtpPort}`
    return ['--address', address, '--receive', `maildir:${maildir}`, '--send', send, '--yes']
  }
}
