// A host of the world: a mail address, keys, a database that survives restarts, and the running host.

import { join } from 'node:path'
import { createHost, type Host, type HostEvent, type HostSettings } from '../../../src/host/host.ts'
import type { InviteHost } from '../../../src/letter/invite.ts'
import type { UserId } from '../../../src/letter/letter-types.ts'
import { makePass, memberKeys, type RoomKeys } from '../../../src/letter/room-membership.ts'
import type { Mailbox } from '../../../src/mail/mailbox.ts'
import type { MailSender } from '../../../src/mail/sender.ts'
import { SharedMailbox } from '../../../src/mail/shared/shared-mailbox.ts'
import { SharedSender } from '../../../src/mail/shared/shared-sender.ts'
import { type HostKeys, subject } from '../../host/fakes.ts'
import { seededCrypto } from '../seeded-crypto.ts'
import type { MailSystem } from './mail-system.ts'
import type { WorldClock } from './world-clock.ts'

export type HostSiteOptions = {
  readonly name: string
  readonly address: string
  readonly keys: HostKeys
  readonly seed: number
  readonly clock: WorldClock
  readonly post: MailSystem
  /** Folder of its database. */
  readonly folder: string
  readonly room: RoomKeys
  readonly settings: Partial<HostSettings>
}

export class HostSite {
  readonly #options: HostSiteOptions
  readonly events: HostEvent[] = []
  /** Hosts with which it exchanges tables after its next start. */
  hosts: readonly HostSite[] = []
  /** An agent that shares the mail address and the program, after the next start. */
  ownAgent: UserId | null = null
  readonly #mailbox: SharedMailbox
  readonly #sender: SharedSender
  #host: Host | null = null
  #runs = 0
  #invites = 0

  constructor(options: HostSiteOptions) {
    this.#options = options
    const { clock, post, address } = options
    this.#mailbox = new SharedMailbox(() => post.mailbox(address, clock))
    this.#sender = new SharedSender(() => post.sender(clock), address, this.#mailbox)
  }

  /** Views of the mailbox and the sender that agent and host share. */
  mail(reader: 'agent' | 'host'): { readonly mailbox: Mailbox; readonly sender: MailSender } {
    return { mailbox: this.#mailbox.view(reader), sender: this.#sender.view() }
  }

  get name(): string {
    return this.#options.name
  }

  /** The keys in a new invite of this host. */
  invite(): RoomKeys {
    const { keys, room, seed } = this.#options
    const crypto = seededCrypto(seed + 500_009 * ++this.#invites)
    return memberKeys(crypto, { pass: makePass(crypto, room, keys.identity, crypto.randomBytes(32), {}) })
  }

  /** The host as an invite names it. */
  get known(): InviteHost {
    const { address, keys } = this.#options
    return { address, identity: keys.identity.publicKey, sealingKey: keys.sealingKeys.publicKey }
  }

  /** Resolves when the host has started; time must pass for that. */
  start(): Promise<void> {
    const { clock, post, keys, address, seed, folder, name, room, settings } = this.#options
    this.#host = createHost({
      clock,
      crypto: seededCrypto(seed + 1_009 * ++this.#runs),
      ...keys,
      address,
      subject,
      rooms: [{ name: 'lobby', tag: room.tag }],
      hosts: this.hosts.map(({ known }) => known),
      settings,
      database: join(folder, `${name}.sqlite`),
      ...(this.ownAgent
        ? { ...this.mail('host'), ownAgent: this.ownAgent }
        : { mailbox: post.mailbox(address, clock), sender: post.sender(clock) }),
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

  /** Whether a host that can stand by is active. */
  get isAwake(): boolean {
    const last = this.events.findLast((event) => event.event === 'standing')
    return this.#host !== null && last?.state === 'awake'
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
