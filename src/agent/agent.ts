// The agent's life: find out where we can be reached, ask the host, meet whom it names, keep being found,
// leave. Everything it uses is handed in.

import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import { formatEndpoint } from '../base/endpoint.ts'
import {
  createForwarder,
  type Expose,
  type Forward,
  type Forwarder,
  type ForwarderEvent,
} from '../forward/forwarder.ts'
import type { FailureReason, Letter, OfferedPeer } from '../letter/kinds.ts'
import { proveMembership, type RoomKeys } from '../letter/room.ts'
import { userIdText } from '../letter/user-id.ts'
import type { Mailbox } from '../mail/mailbox.ts'
import type { MailSender } from '../mail/sender.ts'
import type { NatView } from '../nat/prober.ts'
import { Correspondence, type KnownHost } from './correspondence.ts'
import type { AgentEvent } from './events.ts'
import { Meetings } from './meetings.ts'
import { Network } from './network.ts'
import type { PeerPreferences } from './peer-choice.ts'
import { type OwnSession, Sessions } from './sessions.ts'

export type { AgentEvent } from './events.ts'

export type AgentSettings = {
  /** UDP port; 0 for any. */
  readonly port: number
  readonly keepaliveMs: number
  readonly links: number
  readonly attemptMs: number
  readonly sweepMs: number
  /** A request without an answer is repeated after this time, then ever more seldom. */
  readonly askAgainMs: number
}

export type AgentOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  /** Ed25519: who we are. */
  readonly identity: KeyPair
  readonly name: string
  readonly address: string
  readonly subject: string
  readonly roomName: string
  readonly room: RoomKeys
  readonly hosts: readonly KnownHost[]
  readonly stunServers: readonly string[]
  readonly preferences: PeerPreferences
  readonly settings: AgentSettings
  readonly exposes: readonly Expose[]
  readonly forwards: readonly Forward[]
  /** Not yet open; the agent opens and closes it. */
  readonly mailbox: Mailbox
  readonly sender: MailSender
  readonly onEvent: (event: AgentEvent) => void
}

/** Between two requests, whatever happens: mail is not for chatting. */
const leastBetweenRequestsMs = 15_000
const mostBetweenRequestsMs = 10 * 60_000
/** Our entry is refreshed when this part of its life is over. */
const refreshAfter = 0.5
const goodbyeMs = 1_500
const leaveMs = 5_000

export class Agent {
  readonly #options: AgentOptions
  readonly #sessions: Sessions
  readonly #network: Network
  readonly #meetings: Meetings
  readonly #correspondence: Correspondence
  readonly #forwarder: Forwarder
  #cancelAsk: () => void = () => {}
  #askedAt: number | null = null
  #unansweredMs: number
  #joined = false
  #stopping: Promise<void> | null = null

  constructor(options: AgentOptions) {
    const { clock, crypto, identity, settings, onEvent } = options
    this.#options = options
    this.#unansweredMs = settings.askAgainMs
    this.#sessions = new Sessions(crypto)
    this.#forwarder = createForwarder({
      clock,
      exposes: options.exposes,
      forwards: options.forwards,
      onEvent: (event) => onEvent({ event: 'forward', notice: sentenceOf(event) }),
    })
    this.#network = new Network({
      clock,
      crypto,
      port: settings.port,
      stunServers: options.stunServers,
      keepaliveMs: settings.keepaliveMs,
      onView: (view, first) => this.#viewed(view, first),
      onPacket: (bytes, from) => this.#meetings.receive(bytes, from),
      onNotice: (notice) => onEvent({ event: 'notice', notice }),
    })
    this.#meetings = new Meetings({
      clock,
      crypto,
      identity,
      room: options.room,
      preferences: options.preferences,
      links: settings.links,
      attemptMs: settings.attemptMs,
      network: this.#network,
      onEvent,
      onFailure: (peer, reason) => this.#reportFailure(peer, reason),
      onLost: () => this.#askIn(0),
      onAttach: (peer, send) => this.#forwarder.attach(peer, send),
      onDetach: (peer) => this.#forwarder.detach(peer.id),
      onDatagram: (peer, bytes) => this.#forwarder.handleDatagram(peer.id, bytes),
    })
    this.#correspondence = new Correspondence({
      clock,
      crypto,
      identity,
      address: options.address,
      subject: options.subject,
      hosts: options.hosts,
      mailbox: options.mailbox,
      sender: options.sender,
      sessions: this.#sessions,
      sweepMs: settings.sweepMs,
      onReply: (letter, session) => {
        const sinceRequestMs = Math.round(clock.now() - (session.requestedAt ?? clock.now()))
        onEvent({ event: 'replied', peers: letter.peers.length, sinceRequestMs })
        this.#unansweredMs = settings.askAgainMs
        if (session === this.#sessions.newest) this.#askIn(letter.expiresInMs * refreshAfter)
        this.#meetings.offered(letter.peers, session)
      },
      onIntroduction: (letter, session) => this.#meetings.introduced(letter.peers, session),
      onDropped: (reason) => onEvent({ event: 'letter', outcome: 'dropped', reason }),
      onState: (state) => onEvent({ event: 'mailbox', ...state }),
      onUnsent: (letter, reason) => onEvent({ event: 'unsent', letter, reason }),
    })
  }

  /** Rejects with a Problem; then nothing stays open. */
  async start(): Promise<void> {
    const { identity, name, roomName, onEvent } = this.#options
    try {
      await this.#forwarder.open()
      await Promise.all([this.#network.open(), this.#correspondence.open()])
    } catch (thrown) {
      await this.#close()
      throw thrown
    }
    if (this.#stopping) return
    onEvent({ event: 'ready', id: userIdText(identity.publicKey), name, room: roomName })
    this.#joined = true
    this.#ask()
  }

  /** Says goodbye to peers and host, then closes everything. May be called at any time and more than once. */
  stop(): Promise<void> {
    this.#stopping ??= this.#leave()
    return this.#stopping
  }

  async #leave(): Promise<void> {
    this.#cancelAsk()
    await Promise.all([this.#meetings.stop(goodbyeMs), this.#sendLeave()])
    await this.#close()
  }

  async #close(): Promise<void> {
    this.#cancelAsk()
    await Promise.allSettled([this.#correspondence.close(), this.#network.close(), this.#forwarder.close()])
    this.#sessions.wipe()
  }

  #viewed(view: NatView, first: boolean): void {
    const { profile, publicEndpoints } = view
    this.#options.onEvent({ event: 'nat', ...profile, public: publicEndpoints.map(formatEndpoint) })
    // What the host tells others of us is out of date.
    if (!first && this.#joined) this.#askIn(0)
  }

  /** Asks after `delayMs`, instead of whenever it was due before; `unanswered` is why, if that is why. */
  #askIn(delayMs: number, unanswered?: OwnSession): void {
    if (this.#stopping) return
    const { clock, onEvent } = this.#options
    const earliest = this.#askedAt === null ? 0 : this.#askedAt + leastBetweenRequestsMs - clock.now()
    this.#cancelAsk()
    this.#cancelAsk = clock.after(Math.max(delayMs, earliest), () => {
      if (unanswered) {
        const sinceRequestMs = Math.round(clock.now() - (unanswered.requestedAt ?? clock.now()))
        onEvent({ event: 'unanswered', sinceRequestMs })
      }
      this.#ask()
    })
  }

  /** One request, with a fresh session, to every host. */
  #ask(): void {
    const { clock, crypto, identity, name, address, room, hosts, onEvent } = this.#options
    this.#askedAt = clock.now()
    const session = this.#sessions.create()
    session.requestedAt = this.#askedAt
    for (const host of hosts) {
      const proven = {
        from: identity.publicKey,
        to: host.identity,
        id: crypto.randomBytes(16),
        session: { id: session.id, publicKey: session.publicKey },
      }
      const letter: Letter = {
        kind: 'request',
        ...proven,
        sentAt: clock.wallNow(),
        returnAddress: address,
        nickname: name,
        room: room.tag,
        proof: proveMembership(crypto, room, proven),
        candidates: this.#network.candidates,
        nat: this.#network.nat,
      }
      void this.#correspondence.send(letter, host)
    }
    onEvent({ event: 'requested', hosts: hosts.length })
    this.#askIn(this.#unansweredMs, session)
    this.#unansweredMs = Math.min(2 * this.#unansweredMs, mostBetweenRequestsMs)
  }

  #reportFailure(peer: OfferedPeer, reason: FailureReason): void {
    const { clock, crypto, identity, room, hosts } = this.#options
    for (const host of hosts) {
      const letter: Letter = {
        kind: 'failure',
        from: identity.publicKey,
        to: host.identity,
        id: crypto.randomBytes(16),
        sentAt: clock.wallNow(),
        room: room.tag,
        peer: peer.id,
        reason,
      }
      void this.#correspondence.send(letter, host)
    }
  }

  /** The host may forget us; if the mail server does not take the letter soon, the entry expires by itself. */
  async #sendLeave(): Promise<void> {
    if (!this.#joined) return
    const { clock, crypto, identity, room, hosts } = this.#options
    const sent = hosts.map((host) =>
      this.#correspondence.send(
        {
          kind: 'leave',
          from: identity.publicKey,
          to: host.identity,
          id: crypto.randomBytes(16),
          sentAt: clock.wallNow(),
          room: room.tag,
        },
        host,
      ),
    )
    let cancel = () => {}
    const late = new Promise<void>((resolve) => {
      cancel = clock.after(leaveMs, resolve)
    })
    await Promise.race([Promise.allSettled(sent), late])
    cancel()
  }
}

function sentenceOf(event: ForwarderEvent): string {
  switch (event.type) {
    case 'listening':
      return `127.0.0.1:${event.localPort} leads to port ${event.port} of ${event.nick}.`
    case 'forwarding':
      return event.peerId === null ? `${event.nick} is away.` : `${event.nick} can be reached.`
    case 'ambiguous-nick':
      return `Two players are called ${event.nick}; the forward stays with the first.`
  }
}
