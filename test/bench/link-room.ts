// A room for benches of links: post office, host and address server on this computer; agents are the program as the
// package holds it.

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

export type RoomPlace = { readonly namespaces?: readonly string[]; readonly address?: string }

export class LinkRoom {
  readonly folder = mkdtempSync(join(tmpdir(), 'peerpost-bench-'))
  readonly #processClass: typeof PeerpostProcess
  readonly #ports = new Map<string, number>()
  readonly #endings: (() => unknown)[] = []
  #invite = ''

  /** Host and address server are in the first of the namespaces, if there are any, which has this address. */
  static async open({ namespaces = [], address = '127.0.0.1' }: RoomPlace = {}): Promise<LinkRoom> {
    const folder = mkdtempSync(join(tmpdir(), 'peerpost-bench-program-'))
    buildProgram(folder)
    const module = pathToFileURL(join(folder, 'dist', 'cli', 'child-process.js')).href
    const { PeerpostProcess: built } = (await import(module)) as { PeerpostProcess: typeof PeerpostProcess }
    const room = new LinkRoom(built)
    room.#endings.push(() => rmSync(folder, { recursive: true, force: true }))
    await room.#prepare(namespaces, address)
    return room
  }

  private constructor(processClass: typeof PeerpostProcess) {
    this.#processClass = processClass
    this.#endings.push(() => rmSync(this.folder, { recursive: true, force: true }))
  }

  async #prepare(namespaces: readonly string[], address: string): Promise<void> {
    const [home = ''] = namespaces
    for (const netns of namespaces.length > 0 ? namespaces : ['']) {
      const office = new Child(
        './link-office.ts',
        { folder: join(this.folder, 'mail'), domain },
        prefixOf(netns),
      )
      this.#endings.push(() => office.end())
      this.#ports.set(netns, Number((await office.heard('ready')).port))
    }
    const listen = ['address-server', '--listen', `${address}:${stunPort}`, '--json']
    const stun = new this.#processClass('address-server', listen, () => {}, prefixOf(home))
    this.#endings.push(() => stun.stop(5_000))
    await stun.waitFor('ready')
    const servers = ['--stun', `${address}:${stunPort}`]
    await this.#makeMailbox('host')
    const config = join(this.folder, 'host', 'host.toml')
    const init = ['init', 'host', '--dir', join(this.folder, 'host'), ...this.#mail('host', home), ...servers]
    await this.#processClass.run('init host', init)
    const host = new this.#processClass('host', ['host', '--config', config, '--json'], () => {}, [
      ...prefixOf(home),
      'env',
      'PEERPOST_LETTERS_REPLY_PEERS=16',
    ])
    this.#endings.push(() => host.stop(5_000))
    this.#invite = await this.#processClass.run('invite', ['invite', '--config', config])
    await host.waitFor('ready')
  }

  receiveUrl(user: string): string {
    return `maildir:${join(this.folder, 'mail', user)}`
  }

  /** The config of a new agent. */
  async setUp(name: string, netns = ''): Promise<string> {
    await this.#makeMailbox(name)
    const dir = join(this.folder, name)
    const init = ['init', 'agent', '--dir', dir, '--invite', this.#invite, '--name', name]
    await this.#processClass.run('init agent', [...init, ...this.#mail(name, netns)])
    return join(dir, 'agent.toml')
  }

  start(name: string, config: string, options: readonly string[] = [], netns = ''): PeerpostProcess {
    const args = ['agent', '--config', config, '--json', ...options]
    const agent = new this.#processClass(name, args, () => {}, [...prefixOf(netns), ...manyLinks])
    this.#endings.push(() => agent.stop(5_000))
    return agent
  }

  /** Ended with the room, before all that was made earlier. */
  async crowd(
    config: string,
    agents: readonly { readonly name: string; readonly forwards: readonly string[] }[],
  ): Promise<Child> {
    for (const { name } of agents) await this.#makeMailbox(name)
    const crowd = new Child('./link-crowd.ts', {
      config,
      agents: agents.map(({ name, forwards }) => ({
        ...{ name, forwards, address: `${name}@${domain}`, receive: this.receiveUrl(name) },
      })),
    })
    this.#endings.push(() => crowd.end())
    await crowd.heard('ready')
    return crowd
  }

  async close(): Promise<void> {
    for (const end of this.#endings.splice(0).reverse()) await end()
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
