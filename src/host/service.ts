// The host as a whole: puts its parts together, starts and stops them (design §5).

import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { RoomTag } from '../letter/kinds.ts'
import type { Mailbox } from '../mail/mailbox.ts'
import type { MailSender } from '../mail/sender.ts'
import type { HostCounters, HostEvent } from './events.ts'
import type { HostSettings } from './settings.ts'

export type { HostCounters, HostEvent, SentKind } from './events.ts'
export { defaultHostSettings, type HostSettings } from './settings.ts'

export type HostOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  /** Ed25519: who this host is. */
  readonly identity: KeyPair
  /** X25519: what letters to this host are sealed to. */
  readonly sealingKeys: KeyPair
  /** The mailbox's address; From of everything sent. */
  readonly address: string
  /** Right side of Message-IDs; the domain of `address` if left out. */
  readonly domain?: string
  /** Of every mail that is a letter. */
  readonly subject: string
  readonly rooms: readonly { readonly name: string; readonly tag: RoomTag }[]
  /** Whatever is left out is as in `defaultHostSettings`. */
  readonly settings?: Partial<HostSettings>
  /** Path of the database file; made (mode 0600) if it is not there. */
  readonly database: string
  /** Not yet open; the host opens and closes it and sets its callbacks. */
  readonly mailbox: Mailbox
  /** The host verifies and closes it. */
  readonly sender: MailSender
  readonly onEvent: (event: HostEvent) => void
}

export interface Host {
  /** Opens the database and the mailbox and verifies the sender. Rejects with a Problem; then nothing stays open. */
  start(): Promise<void>
  /** Finishes the letter in hand, lets mails under way end for up to `stopGraceMs`, closes everything. May be
   *  called at any time and more than once. */
  stop(): Promise<void>
  counters(): HostCounters
}

export declare function createHost(options: HostOptions): Host
