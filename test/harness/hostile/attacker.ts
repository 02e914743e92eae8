// What an attacker has: old letters of others, own keys, perhaps the room's secret, and random choices.

import type { KeyPair } from '../../../src/base/crypto.ts'
import type { Letter } from '../../../src/letter/letter-types.ts'
import { writeLetter } from '../../../src/letter/mail-text.ts'
import type { RoomKeys } from '../../../src/letter/room-membership.ts'
import { FakeAgent, type HostKeys, hostAddress, mailText, subject } from '../../host/fakes.ts'
import { realCrypto as crypto, seededRandom } from '../seeded-crypto.ts'

/** Old letters that are kept; beyond it random ones are replaced. */
const keptLetters = 200

export class Attacker {
  readonly host: HostKeys
  readonly room: RoomKeys
  readonly crypto = crypto
  readonly #random: () => number
  /** A member whose letters were recorded. */
  readonly member: FakeAgent
  /** A member whose mail bounces. */
  readonly gone: FakeAgent
  /** Mails that the host has already handled. */
  readonly old: string[] = []
  /** A bounce of the host's mail to `gone`. */
  bounce = ''

  readonly #wallNow: () => number

  constructor(host: HostKeys, room: RoomKeys, seed: number, wallNow: () => number = Date.now) {
    this.#wallNow = wallNow
    this.host = host
    this.room = room
    this.#random = seededRandom(seed)
    this.member = new FakeAgent('member', host, room)
    this.gone = new FakeAgent('gone', host, room)
  }

  get now(): number {
    return this.#wallNow()
  }

  below(limit: number): number {
    return Math.floor(this.#random() * limit)
  }

  pick<T>(all: readonly T[]): T {
    const chosen = all[this.below(all.length)]
    if (chosen === undefined) throw new Error('there is nothing to pick from')
    return chosen
  }

  bytes(length: number): Uint8Array {
    return Uint8Array.from({ length }, () => this.below(256))
  }

  record(mail: string): void {
    if (this.old.length < keptLetters) this.old.push(mail)
    else this.old[this.below(keptLetters)] = mail
  }

  /** A stranger with own keys and the room's secret, or another room's. */
  stranger(room: RoomKeys = this.room, host: HostKeys = this.host): FakeAgent {
    return new FakeAgent(`stranger${this.below(1_000_000)}`, host, room)
  }

  /** A mail with this text. */
  mail(text: string, from = 'enemy@mail.test'): string {
    return mailText({ from, text, dateMs: this.now })
  }

  /** A mail with these header fields, an empty line and body; LF line ends. */
  raw(rest: string): string {
    const head = `From: <enemy@mail.test>\nTo: <${hostAddress}>\nSubject: ${subject}\n`
    return `${head}${rest}`.replaceAll('\n', '\r\n')
  }

  /** A letter as its agent sends it, with another From, Date or keys. */
  letter(
    letter: Letter,
    agent: FakeAgent,
    changes: { from?: string; dateMs?: number; identity?: KeyPair } = {},
  ): string {
    const { from = agent.address, dateMs = this.now, identity = agent.identity } = changes
    const keys = { identity, recipientKey: agent.host.sealingKeys.publicKey }
    return mailText({ from, text: writeLetter(crypto, letter, keys), dateMs })
  }
}
