// A testbed for link benchmarks: mail server, host and address server on this computer, and agents that run the
// compiled program.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import type { PeerpostProcess } from '../../src/cli/child-process.ts'
import { makeMaildir } from '../../src/mail/maildir/maildir-delivery.ts'
import { within } from '../harness/namespaces.ts'
import { buildProgram } from './bench-host.ts'
import { Child } from './child.ts'

const domain = 'bench.invalid'
const stunPort = 34_780
const manyLinks = ['env', 'PEERPOST_PEERS_LINKS=64']

export type TestbedOptions = { readonly namespaces?: readonly string[]; readonly address?: string }

export class LinkTestbed {
  readonly folder = mkdtempSync(join(tmpdir(), 'peerpost-bench-'))
  readonly #processClass: typeof PeerpostProcess
  readonly #ports = new Map<string, number>()
  readonly #cleanups: (() => unknown)[] = []
  #invite = ''

  /** Host and address server run in the first namespace, if any; it has this address. */
  static async open({ namespaces = [], address = '127.0.0.1' }: TestbedOptions = {}): Promise<LinkTestbed> {
    const folder = mkdtempSync(join(tmpdir(), 'peerpost-bench-program-'))
    buildProgram(folder)
    const module = pathToFileURL(join(folder, 'dist', 'cli', 'child-process.js')).href
    const { PeerpostProcess: built } = (await import(module)) as { PeerpostProcess: typeof PeerpostProcess }
    const testbed = new LinkTestbed(built)
    testbed.#cleanups.push(() => rmSync(folder, { recursive: true, force: true }))
    await testbed.#prepare(namespaces, address)
    return testbed
  }

  private constructor(processClass: typeof PeerpostProcess) {
    this.#processClass = processClass
    this.#cleanups.push(() => rmSync(this.folder, { recursive: true, force: true }))
  }

  async #prepare(namespaces: readonly string[], address: string): Promise<void> {
    const [homeNamespace = ''] = namespaces
    for (const netns of namespaces.length > 0 ? namespaces : ['']) {
      const mailServer = new Child(
        './link-mail-server.ts',
        { folder: join(this.folder, 'mail'), domain },
        prefixOf(netns),
      )
      this.#cleanups.push(() => mailServer.end())
      this.#ports.set(netns, Number((await mailServer.waitFor('ready')).port))
    }
    const listen = ['address-server', '--listen', `${address}:${stunPort}`, '--json']
    const stun = new this.#processClass('address-server', listen, () => {}, prefixOf(homeNamespace))
    this.#cleanups.push(() => stun.stop(5_000))
    await stun.waitFor('ready')
    const servers = ['--stun', `${address}:${stunPort}`]
    await this.#makeMailbox('host')
    const config = join(this.folder, 'host', 'host.toml')
    const init = [
      'init',
      'host',
      '--dir',
      join(this.folder, 'host'),
      ...this.#mail('host', homeNamespace),
      ...servers,
    ]
    await this.#processClass.run('init host', init)
    const host = new this.#processClass('host', ['host', '--config', config, '--json'], () => {}, [
      ...prefixOf(homeNamespace),
      'env',
      'PEERPOST_LETTERS_REPLY_PEERS=16',
    ])
    this.#cleanups.push(() => host.stop(5_000))
    this.#invite = await this.#processClass.run('invite', ['invite', '--config', config])
    await host.waitFor('ready')
  }

  receiveUrl(user: string): string {
    return `maildir:${join(this.folder, 'mail', user)}`
  }

  /** Creates an agent; returns its config file. */
  async createAgent(name: string, netns = ''): Promise<string> {
    await this.#makeMailbox(name)
    const dir = join(this.folder, name)
    const init = ['init', 'agent', '--dir', dir, '--invite', this.#invite, '--name', name]
    await this.#processClass.run('init agent', [...init, ...this.#mail(name, netns)])
    return join(dir, 'agent.toml')
  }

  start(name: string, config: string, options: readonly string[] = [], netns = ''): PeerpostProcess {
    const args = ['agent', '--config', config, '--json', ...options]
    const agent = new this.#processClass(name, args, () => {}, [...prefixOf(netns), ...manyLinks])
    this.#cleanups.push(() => agent.stop(5_000))
    return agent
  }

  /** Starts several agents in one process. They end with the testbed, before everything started earlier. */
  async startAgents(
    config: string,
    agents: readonly { readonly name: string; readonly forwards: readonly string[] }[],
  ): Promise<Child> {
    for (const { name } of agents) await this.#makeMailbox(name)
    const child = new Child('./link-agents.ts', {
      config,
      agents: agents.map(({ name, forwards }) => ({
        name,
        forwards,
        address: `${name}@${domain}`,
        receive: this.receiveUrl(name),
      })),
    })
    this.#cleanups.push(() => child.end())
    await child.waitFor('ready')
    return child
  }

  async close(): Promise<void> {
    for (const end of this.#cleanups.splice(0).reverse()) await end()
  }

  async #makeMailbox(user: string): Promise<void> {
    await makeMaildir(join(this.folder, 'mail', user))
  }

  #mail(user: string, netns: string): string[] {
    const send = `smtp://127.0.0.1:${this.#ports.get(netns)}`
    return ['--address', `${user}@${domain}`, '--receive', this.receiveUrl(user), '--send', send, '--yes']
  }
}

function prefixOf(netns: string): readonly string[] {
  return netns === '' ? [] : within(netns)
}
