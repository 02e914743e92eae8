// A host of the world: a mail address, keys, a database that outlives it, and the host that runs there now.

import { join } from 'node:path'
import { createHost, type Host, type HostEvent, type HostSettings } from '../../../src/host/service.ts'
import type { InviteHost } from '../../../src/letter/invite.ts'
import type { RoomTag } from '../../../src/letter/kinds.ts'
import { type HostKeys, subject } from '../../host/fakes.ts'
import { seededCrypto } from '../seeded-crypto.ts'
import type { Post } from './post.ts'
import type { WorldClock } from './world-clock.ts'

export type HostSiteOptions = {
  readonly name: string
  readonly address: string
  readonly keys: HostKeys
  readonly seed: number
  readonly clock: WorldClock
  readonly post: Post
  /** For its database. */
  readonly folder: string
  readonly room: RoomTag
  readonly settings: Partial<HostSettings>
}

export class HostSite {
  readonly #options: HostSiteOptions
  readonly events: HostEvent[] = []
  /** Hosts it exchanges tables with, from its next start on. */
  hosts: readonly HostSite[] = []
  #host: Host | null = null
  #runs = 0

  constructor(options: HostSiteOptions) {
    this.#options = options
  }

  get name(): string {
    return this.#options.name
  }

  /** As an invite names it. */
  get known(): InviteHost {
    const { address, keys } = this.#options
    return { address, identity: keys.identity.publicKey, sealingKey: keys.sealingKeys.publicKey }
  }

  /** Resolves when it has started, which needs time to pass. */
  start(): Promise<void> {
    const { clock, post, keys, address, seed, folder, name, room, settings } = this.#options
    this.#host = createHost({
      clock,
      crypto: seededCrypto(seed + 1_009 * ++this.#runs),
      ...keys,
      address,
      subject,
      rooms: [{ name: 'lobby', tag: room }],
      hosts: this.hosts.map(({ known }) => known),
      settings,
      database: join(folder, `${name}.sqlite`),
      mailbox: post.mailbox(address, clock),
      sender: post.sender(clock),
      onEvent: (event) => this.events.push(event),
    })
    return this.#host.start()
  }

  get host(): Host {
    if (!this.#host) throw new Error(`no host runs at ${this.name}`)
    return this.#host
  }

  async stop(): Promise<void> {
    const host = this.#host
    this.#host = null
    await host?.stop()
  }

  accepted(kind: string): number {
    return this.events.filter(
      (event) => event.event === 'letter' && event.outcome === 'accepted' && event.kind === kind,
    ).length
  }

  sent(kind: string): number {
    return this.events.filter((event) => event.event === 'sent' && event.kind === kind).length
  }
}
