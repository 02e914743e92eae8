// An agent's inbox on virtual time, with a mailbox and a sender in memory and a host that writes letters to it.

import { Inbox, type KnownHost } from '../../src/agent/letters/inbox.ts'
import { SessionKeys } from '../../src/agent/letters/session-keys.ts'
import type { KeyPair } from '../../src/base/crypto.ts'
import type { IntroductionLetter, Letter, ReplyLetter, SignalLetter } from '../../src/letter/letter-types.ts'
import { writeLetter } from '../../src/letter/mail-text.ts'
import type { SendOutcome } from '../../src/mail/sender.ts'
import { seededCrypto } from '../harness/seeded-crypto.ts'
import { WorldClock } from '../harness/world/world-clock.ts'
import {
  FakeMailbox,
  FakeSender,
  type HostKeys,
  hostAddress,
  mailText,
  makeHostKeys,
  subject,
} from '../host/fakes.ts'

export const agentAddress = 'anna@mail.test'

/** A mailbox whose server can fail or never answer. */
export class FaultyMailbox extends FakeMailbox {
  state: 'fine' | 'failing' | 'silent' = 'fine'
  closed = 0

  override async fetch(limit: number, except?: ReadonlySet<string>) {
    await this.#answer()
    return super.fetch(limit, except)
  }

  override async remove(refs: readonly string[]) {
    await this.#answer()
    return super.remove(refs)
  }

  override async close() {
    this.closed++
  }

  async #answer(): Promise<void> {
    if (this.state === 'failing') throw new Error('the server fails')
    if (this.state === 'silent') await new Promise(() => {})
  }
}

export type StageOptions = {
  readonly onReply?: (letter: ReplyLetter) => void
  readonly moreHosts?: number
}

function knownHost(address: string, { identity, sealingKeys }: HostKeys): KnownHost {
  return { address, identity: identity.publicKey, sealingKey: sealingKeys.publicKey }
}

export class InboxStage {
  readonly clock = new WorldClock()
  readonly crypto = seededCrypto(1)
  readonly identity: KeyPair = this.crypto.signKeyPair()
  readonly hostKeys = makeHostKeys(this.crypto)
  readonly host = knownHost(hostAddress, this.hostKeys)
  readonly mailbox = new FaultyMailbox()
  readonly sender = new FakeSender()
  readonly sessions = new SessionKeys(this.crypto)
  readonly session = this.sessions.create()
  readonly replies: ReplyLetter[] = []
  readonly introductions: IntroductionLetter[] = []
  readonly room = this.crypto.randomBytes(32)
  readonly signals: SignalLetter[] = []
  readonly dropped: string[] = []
  readonly unsent: string[] = []
  readonly allHostKeys: readonly HostKeys[]
  readonly hosts: readonly KnownHost[]
  readonly inbox: Inbox

  constructor({ onReply = () => {}, moreHosts = 0 }: StageOptions = {}) {
    const others = Array.from({ length: moreHosts }, () => makeHostKeys(this.crypto))
    this.allHostKeys = [this.hostKeys, ...others]
    this.hosts = [this.host, ...others.map((keys, index) => knownHost(`host${index + 2}@mail.test`, keys))]
    this.inbox = new Inbox({
      clock: this.clock,
      correctedClock: this.clock,
      crypto: this.crypto,
      identity: this.identity,
      address: agentAddress,
      subject,
      hosts: this.hosts,
      mailbox: this.mailbox,
      sender: this.sender,
      sessions: this.sessions,
      room: this.room,
      sweepMs: 60_000,
      onSignal: (letter) => this.signals.push(letter),
      onReply: (letter) => {
        this.replies.push(letter)
        onReply(letter)
      },
      onIntroduction: (letter) => this.introductions.push(letter),
      onDropped: (reason) => this.dropped.push(reason),
      onState: () => {},
      onUnsent: (letter, reason) => this.unsent.push(`${letter}: ${reason}`),
    })
  }

  async open(): Promise<this> {
    await this.inbox.open()
    await this.pass(0)
    return this
  }

  async close(): Promise<void> {
    let isClosed = false
    void this.inbox.close().then(() => {
      isClosed = true
    })
    await this.clock.until(() => isClosed, 10_000)
  }

  pass(byMs: number): Promise<void> {
    return this.clock.pass(byMs)
  }

  reply(changes: Partial<ReplyLetter> = {}): ReplyLetter {
    return {
      kind: 'reply',
      from: this.host.identity,
      to: this.identity.publicKey,
      id: this.crypto.randomBytes(16),
      sentAt: this.clock.wallNow(),
      sessionId: this.session.id,
      expiresInMs: 43_200_000,
      peers: [],
      ...changes,
    }
  }

  introduction(): IntroductionLetter {
    const { kind: _kind, expiresInMs: _expiresInMs, ...rest } = this.reply()
    return { ...rest, kind: 'introduction' }
  }

  /** A signal of another agent, as the host relays it. */
  signal(changes: Partial<SignalLetter> = {}): SignalLetter {
    const { from, to, id, sentAt } = this.reply()
    const peer = this.crypto.signKeyPair().publicKey
    const box = this.crypto.randomBytes(600)
    return { kind: 'signal', from, to, id, sentAt, room: this.room, peer, box, ...changes }
  }

  /** A mail with the letter. By default the host signs it for our session. */
  mail(letter: Letter, recipientKey = this.session.publicKey, identity = this.hostKeys.identity): string {
    return this.mailOf(writeLetter(this.crypto, letter, { identity, recipientKey }))
  }

  mailOf(text: string): string {
    return mailText({ from: hostAddress, to: agentAddress, text, dateMs: this.clock.wallNow() })
  }

  async deliver(...mails: readonly string[]): Promise<void> {
    for (const mail of mails) this.mailbox.deliver(mail)
    await this.pass(0)
  }

  /** Sets the sender's results, one after another. The last one repeats. */
  answerWith(...outcomes: readonly SendOutcome[]): void {
    let at = 0
    this.sender.answer = () => outcomes[Math.min(at++, outcomes.length - 1)] ?? { outcome: 'sent' }
  }

  letter(kind: 'request' | 'failure' | 'leave'): Letter {
    const { from: to, to: from, id, sentAt } = this.reply()
    const head = { from, to, id, sentAt, room: this.crypto.randomBytes(32) }
    if (kind === 'leave') return { kind, ...head }
    if (kind === 'failure') return { kind, ...head, peer: this.crypto.randomBytes(32), reason: 'no-answer' }
    return {
      kind,
      ...head,
      session: { id: this.session.id, publicKey: this.session.publicKey },
      returnAddress: agentAddress,
      nickname: 'anna',
      proof: this.crypto.randomBytes(64),
      candidates: [],
      nat: { mapping: 'EIM', filtering: 'APDF', allocation: { type: 'preserving' } },
    }
  }
}
