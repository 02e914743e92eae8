// Runs a mail server, an address server and a host of the library in this process, and makes agents for its room.

import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Agent, type AgentSettings, Host } from 'peerpost'
import { formatEndpoint } from '../../src/base/endpoint.ts'
import { TestMailServer } from '../../src/mail/test-mail-server.ts'
import { systemClock } from '../../src/runtime/system-clock.ts'
import { startAddressServer } from '../../src/stun-server/stun-server.ts'
import type { Defer } from '../harness/defer.ts'

const domain = 'room.test'

export class TestRoom {
  readonly folder: string
  readonly host: Host
  readonly #defer: Defer
  readonly #mailOf: (name: string) => Promise<{ address: string; receive: string; send: string }>
  readonly invite: string

  private constructor(
    folder: string,
    host: Host,
    invite: string,
    mailOf: (name: string) => Promise<{ address: string; receive: string; send: string }>,
    defer: Defer,
  ) {
    this.folder = folder
    this.host = host
    this.invite = invite
    this.#mailOf = mailOf
    this.#defer = defer
  }

  static async open(defer: Defer): Promise<TestRoom> {
    const folder = mkdtempSync(join(tmpdir(), 'peerpost-room-'))
    defer(() => rmSync(folder, { recursive: true, force: true }))
    const mailServer = new TestMailServer({ clock: systemClock, folder: join(folder, 'mail'), domain })
    const port = await mailServer.start()
    defer(() => mailServer.stop())
    const stun = await startAddressServer({ listen: [{ address: '127.0.0.1', port: 0 }] })
    defer(() => stun.close())
    const mailOf = async (name: string) => ({
      address: `${name}@${domain}`,
      receive: `maildir:${await mailServer.maildirOf(`${name}@${domain}`)}`,
      send: `smtp://127.0.0.1:${port}`,
    })
    const host = new Host({
      ...(await mailOf('host')),
      folder: join(folder, 'host'),
      settings: { stun: { servers: stun.endpoints.map(formatEndpoint) } },
    })
    defer(() => host.stop())
    await host.start()
    return new TestRoom(folder, host, await host.invite(), mailOf, defer)
  }

  /** Not started. */
  async agent(name: string, more: Partial<AgentSettings> = {}): Promise<Agent> {
    const agent = new Agent({ invite: this.invite, name, ...(await this.#mailOf(name)), ...more })
    this.#defer(() => agent.stop())
    return agent
  }
}
