// Fakes for host tests: a mailbox and a sender in memory, and agents that write to a host.

import { randomUUID } from 'node:crypto'
import type { Crypto, KeyPair } from '../../src/base/crypto.ts'
import type { Candidate } from '../../src/base/endpoint.ts'
import { fairOrder } from '../../src/base/fair-order.ts'
import type { Letter, RequestLetter } from '../../src/letter/letter-types.ts'
import { readLetter, writeLetter } from '../../src/letter/mail-text.ts'
import { proveMembership, type RoomKeys, roomKeys } from '../../src/letter/room-membership.ts'
import type { FetchedMail, Mailbox, MailboxHandlers } from '../../src/mail/mailbox.ts'
import { composeMail, type MailToCompose } from '../../src/mail/mime/compose-mail.ts'
import type { MailSender, OutgoingMail, SendOutcome } from '../../src/mail/sender.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'

export class FakeMailbox implements Mailbox {
  handlers: MailboxHandlers = {}
  /** Announces nothing until it is opened again. */
  isSilent = false
  readonly mails: FetchedMail[] = []
  fetches = 0
  removals = 0
  #next = 1

  deliver(raw: string | Uint8Array | null): void {
    const bytes = typeof raw === 'string' ? new TextEncoder().encode(raw) : raw
    this.mails.push({ ref: String(this.#next++), raw: bytes, sizeBytes: bytes?.length ?? 1e9 })
    this.wake()
  }

  wake(): void {
    if (!this.isSilent) this.handlers.onWake?.()
  }

  async open(handlers: MailboxHandlers = {}): Promise<void> {
    this.handlers = handlers
    this.isSilent = false
    this.handlers.onState?.({ state: 'connected' })
    this.wake()
  }

  async fetch(limit: number, except: ReadonlySet<string> = new Set()): Promise<readonly FetchedMail[]> {
    this.fetches++
    const oldestFirst = this.mails.filter(({ ref }) => !except.has(ref))
    return [...fairOrder(oldestFirst, this.handlers.mayTakeNewest)].slice(0, limit)
  }

  async remove(refs: readonly string[]): Promise<void> {
    this.removals++
    for (const ref of refs) {
      const at = this.mails.findIndex((mail) => mail.ref === ref)
      if (at >= 0) this.mails.splice(at, 1)
    }
  }

  async close(): Promise<void> {}
}

export class FakeSender implements MailSender {
  readonly concurrency: number
  readonly sent: OutgoingMail[] = []
  readonly tried: OutgoingMail[] = []
  underWay = 0
  maxUnderWay = 0
  /** The outcome of sending a mail. */
  answer: (mail: OutgoingMail) => SendOutcome | Promise<SendOutcome> = () => ({ outcome: 'sent' })

  constructor(concurrency = 3) {
    this.concurrency = concurrency
  }

  async send(given: MailToCompose | OutgoingMail): Promise<SendOutcome> {
    const mail = await composed(given)
    this.tried.push(mail)
    this.underWay++
    this.maxUnderWay = Math.max(this.maxUnderWay, this.underWay)
    const outcome = await this.answer(mail)
    this.underWay--
    if (outcome.outcome === 'sent') this.sent.push(mail)
    return outcome
  }

  async verify(): Promise<void> {}
  async close(): Promise<void> {}
}

/** The mail as its recipient gets it. */
export async function composed(mail: MailToCompose | OutgoingMail): Promise<OutgoingMail> {
  return 'raw' in mail ? mail : { from: mail.from, to: mail.to, raw: await composeMail(mail.content) }
}

export type HostKeys = { readonly identity: KeyPair; readonly sealingKeys: KeyPair }

export function makeHostKeys(crypto: Crypto = realCrypto): HostKeys {
  return { identity: crypto.signKeyPair(), sealingKeys: crypto.boxKeyPair() }
}

export function makeRoom(crypto: Crypto = realCrypto): RoomKeys {
  return roomKeys(crypto, crypto.randomBytes(32))
}

export const subject = 'data for network game client'
export const hostAddress = 'host@mail.test'

export function textOf(mail: Pick<OutgoingMail, 'raw'>): string {
  return new TextDecoder().decode(mail.raw)
}

export function headerOf(mail: Pick<OutgoingMail, 'raw'>, name: string): string | undefined {
  return new RegExp(`^${name}:\\s*(.+?)\\r?$`, 'im').exec(textOf(mail))?.[1]
}

export function mailText(options: {
  readonly from: string
  readonly text: string
  readonly dateMs: number
  readonly messageId?: string
  readonly to?: string
}): string {
  const { from, text, dateMs, messageId = `<${randomUUID()}@mail.test>`, to = hostAddress } = options
  const head = [
    `From: <${from}>`,
    `To: <${to}>`,
    `Subject: ${subject}`,
    `Date: ${new Date(dateMs).toUTCString().replace('GMT', '+0000')}`,
    `Message-ID: ${messageId}`,
    'MIME-Version: 1.0',
    'Content-Type: text/plain; charset=us-ascii',
  ]
  return `${head.join('\r\n')}\r\n\r\n${text.replaceAll('\n', '\r\n')}`
}

type RequestChanges = Partial<
  Pick<RequestLetter, 'sentAt' | 'returnAddress' | 'proof' | 'to' | 'id' | 'room'>
>

/** An agent, as a host sees it. */
export class FakeAgent {
  readonly name: string
  readonly address: string
  readonly identity: KeyPair
  readonly room: RoomKeys
  readonly host: HostKeys
  readonly candidates: readonly Candidate[]
  /** The session keys of all its requests. Letters may be sealed to any of them. */
  readonly sessions: KeyPair[] = []
  readonly crypto: Crypto

  constructor(
    name: string,
    host: HostKeys,
    room: RoomKeys,
    publicAddress = `198.51.100.${name.length}`,
    crypto: Crypto = realCrypto,
  ) {
    this.name = name
    this.address = `${name}@mail.test`
    this.host = host
    this.room = room
    this.crypto = crypto
    this.identity = crypto.signKeyPair()
    this.candidates = [
      { kind: 'host', endpoint: { address: '192.168.1.5', port: 4000 } },
      { kind: 'server-reflexive', endpoint: { address: publicAddress, port: 4001 } },
    ]
  }

  get id(): Uint8Array {
    return this.identity.publicKey
  }

  request(sentAt: number, changes: RequestChanges = {}): RequestLetter {
    const session = this.crypto.boxKeyPair()
    this.sessions.push(session)
    const head = {
      from: this.id,
      to: changes.to ?? this.host.identity.publicKey,
      id: changes.id ?? this.crypto.randomBytes(16),
      session: { id: this.crypto.randomBytes(16), publicKey: session.publicKey },
    }
    return {
      ...head,
      kind: 'request',
      sentAt,
      returnAddress: this.address,
      nickname: this.name,
      room: this.room.tag,
      proof: proveMembership(this.crypto, this.room, head),
      ...(this.room.grant && { grant: this.room.grant }),
      candidates: this.candidates,
      nat: { mapping: 'EIM', filtering: 'APDF', allocation: { type: 'preserving' } },
      ...changes,
    }
  }

  head(sentAt: number) {
    return { from: this.id, to: this.host.identity.publicKey, id: this.crypto.randomBytes(16), sentAt }
  }

  /** The mail to the host with this letter. */
  mail(letter: Letter, changes: { readonly dateMs?: number; readonly from?: string } = {}): string {
    const keys = { identity: this.identity, recipientKey: this.host.sealingKeys.publicKey }
    return mailText({
      from: changes.from ?? this.address,
      text: writeLetter(this.crypto, letter, keys),
      dateMs: changes.dateMs ?? letter.sentAt,
    })
  }

  mailRequest(sentAt: number): string {
    return this.mail(this.request(sentAt))
  }

  /** The letter in a mail of the host. Throws when it is not for this agent. */
  read(mail: Pick<OutgoingMail, 'raw'>): Letter {
    for (const session of this.sessions.toReversed()) {
      const keys = { identity: this.id, keyPairs: [session] }
      const opened = readLetter(this.crypto, textOf(mail), keys)
      if (opened.ok) return opened.letter
    }
    throw new Error(`${this.name} cannot open this mail:\n${textOf(mail)}`)
  }
}
