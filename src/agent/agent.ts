// The agent's life: find out where we can be reached, ask the host, meet whom it names, keep being found,
// leave. Everything it uses is handed in.

import { toHex, viewOf } from '../base/bytes.ts'
import { type Candidate, formatEndpoint } from '../base/endpoint.ts'
import { waitAtMost } from '../base/grace-time.ts'
import type { Forward } from '../forward/forward-types.ts'
import { createForwarder, type Forwarder } from '../forward/forwarder.ts'
import type { FailureReason, OfferedPeer, UserId } from '../letter/letter-types.ts'
import { readUserId, userIdText } from '../letter/user-id.ts'
import { isSeenFromOutside } from '../nat/nat-layers.ts'
import type { NatView } from '../nat/nat-prober.ts'
import type { PortMapping } from '../net/portmap/port-mapper.ts'
import { type AgentEvent, forwardSentence, nameOf, type PeerName } from './events.ts'
import { type Author, failureTo, leaveTo, requestTo, signalTo } from './letters/compose-letters.ts'
import { Inbox } from './letters/inbox.ts'
import { RequestScheduler } from './letters/request-scheduler.ts'
import { SessionKeys } from './letters/session-keys.ts'
import { CorrectedClock } from './letters/wall-clock-correction.ts'
import { Network } from './network/network.ts'
import { systemNetwork } from './network/network-io.ts'
import type { AgentOptions } from './options.ts'
import { Connector } from './peers/connector.ts'
import type { QualityReport } from './peers/link-quality.ts'
import { type PeerStateEntry, PeerStates } from './peers/peer-states.ts'

export type { AgentEvent } from './events.ts'
export type { AgentOptions, AgentSettings } from './options.ts'

/** What the agent knows and does, for whoever watches it. */
export type AgentReport = {
  readonly nat: NatView
  readonly candidates: readonly Candidate[]
  /** The port that the router opened, if it did. */
  readonly mapping: PortMapping | null
  readonly peers: readonly (PeerStateEntry & { readonly quality: QualityReport | null })[]
}

/** For the peers to acknowledge. */
const goodbyeMs = 1_500
/** For the mail server to take the letter. */
const leaveMs = 5_000

export class Agent {
  readonly #options: AgentOptions
  /** For the letters we write. */
  readonly #correctedClock: CorrectedClock
  readonly #sessions: SessionKeys
  readonly #peerStates = new PeerStates()
  readonly #network: Network
  readonly #connector: Connector
  readonly #inbox: Inbox
  readonly #forwarder: Forwarder
  readonly #requestScheduler: RequestScheduler
  #state: 'starting' | 'joined' | 'over' = 'starting'
  #stopping: Promise<void> | null = null
  /** How long our last request took to be answered; a signal letter takes about as long. */
  #mailMs: number | null = null

  constructor(options: AgentOptions) {
    const { clock, crypto, identity, settings } = options
    const onEvent = (event: AgentEvent) => this.#emit(event)
    this.#options = options
    this.#correctedClock = new CorrectedClock(clock)
    this.#sessions = new SessionKeys(crypto)
    this.#forwarder = createForwarder({
      clock,
      exposes: options.exposes,
      forwards: options.forwards,
      ...(options.namedServices && { namedServices: options.namedServices }),
      random: () => viewOf(crypto.randomBytes(4)).getUint32(0),
      // Asked anew each time: who is a friend may change.
      isFriend: (id) => options.preferences.friends.has(toHex(readUserId(id) ?? new Uint8Array(0))),
      onEvent: (event) => onEvent({ event: 'forward', notice: forwardSentence(event) }),
    })
    this.#network = new Network({
      clock,
      crypto,
      io: options.io ?? systemNetwork,
      port: settings.port,
      stunServers: options.stunServers,
      keepaliveMs: settings.keepaliveMs,
      ...(settings.knownNat && { knownNat: settings.knownNat }),
      portMapping: settings.portMapping,
      onView: (view, first) => this.#viewed(view, first),
      onPacket: (bytes, from) => this.#connector.receive(bytes, from),
      ...(settings.tcp && { onCall: (connection, packet) => this.#connector.call(connection, packet) }),
      onMoved: () => {
        this.#connector.recheckLinks()
        this.#inbox.check()
      },
      onNews: () => this.#announceChange(),
      onNotice: (notice) => onEvent({ event: 'notice', notice }),
    })
    this.#connector = new Connector({
      clock,
      crypto,
      identity,
      room: options.room,
      sessions: this.#sessions,
      preferences: options.preferences,
      links: settings.links,
      attemptMs: settings.attemptMs,
      ...(settings.bubbleTtl !== undefined && { bubbleTtl: settings.bubbleTtl }),
      keepaliveMs: settings.keepaliveMs,
      network: this.#network,
      onEvent,
      mailMs: () => this.#mailMs,
      onSignal: (peer, box) => this.#passOn(peer, box),
      onFailure: (peer, reason) => this.#reportFailure(peer, reason),
      onAskAgain: () => this.#requestScheduler.requestSoon(),
      onAttach: (peer, link) => this.#forwarder.attach(peer, link),
      onDetach: (peer) => this.#forwarder.detach(peer.id),
      onDatagram: (peer, bytes) => this.#forwarder.handleDatagram(peer.id, bytes),
    })
    this.#inbox = new Inbox({
      clock,
      correctedClock: this.#correctedClock,
      crypto,
      identity,
      address: options.address,
      subject: options.subject,
      hosts: options.hosts,
      mailbox: options.mailbox,
      sender: options.sender,
      sessions: this.#sessions,
      room: options.room.tag,
      sweepMs: settings.sweepMs,
      onReply: (letter, session) => {
        const sinceRequestMs = Math.round(clock.now() - session.requestedAt)
        this.#mailMs = sinceRequestMs
        this.#correctedClock.answered(session.requestedAt)
        if (letter.decline) {
          const { reason, againInMs } = letter.decline
          onEvent({ event: 'declined', reason, againInMs: this.#requestScheduler.declined(againInMs) })
          return
        }
        onEvent({ event: 'replied', peers: letter.peers.length, sinceRequestMs })
        this.#requestScheduler.answered(letter.expiresInMs, session === this.#sessions.newest)
        this.#peerStates.offered(letter.peers, nameOf, clock.now())
        this.#connector.offered(letter.peers, session)
      },
      onIntroduction: (letter, session) => {
        this.#peerStates.offered(letter.peers, nameOf, clock.now())
        this.#connector.introduced(letter.peers, session)
      },
      onSignal: (letter) => this.#connector.signalled(letter.box),
      onDropped: (reason) => onEvent({ event: 'letter', outcome: 'dropped', reason }),
      onState: (state) => onEvent({ event: 'mailbox', ...state }),
      onUnsent: (letter, reason) => onEvent({ event: 'unsent', letter, reason }),
    })
    this.#requestScheduler = new RequestScheduler({
      clock,
      askAgainMs: settings.askAgainMs,
      ask: () => this.#ask(),
      onUnanswered: (sinceRequestMs) => {
        this.#correctedClock.unanswered()
        onEvent({ event: 'unanswered', sinceRequestMs })
      },
    })
  }

  /** Rejects with a Problem; then nothing stays open. Resolves early when stopped meanwhile. Once only. */
  async start(): Promise<void> {
    if (this.#stopping) return
    const { identity, name, roomName } = this.#options
    try {
      await this.#forwarder.open()
      // It may have opened behind the back of a stop that came meanwhile.
      if (this.#stopping) return await this.#forwarder.close()
      await Promise.all([this.#network.open(), this.#inbox.open()])
    } catch (thrown) {
      if (this.#stopping) return
      this.#stopping = this.#close()
      await this.#stopping
      throw thrown
    }
    if (this.#stopping) return
    this.#state = 'joined'
    this.#emit({ event: 'ready', id: userIdText(identity.publicKey), name, room: roomName })
    this.#requestScheduler.start()
  }

  /** Says goodbye to peers and host, then closes everything. May be called at any time and more than once. */
  stop(): Promise<void> {
    this.#stopping ??= this.#leave()
    return this.#stopping
  }

  /** What is known and going on, as of now. */
  get report(): AgentReport {
    const { view, candidates, portMapping } = this.#network
    const peers = this.#peerStates.entries.map((entry) => ({
      ...entry,
      quality: this.#connector.qualityWith(entry.id),
    }))
    return { nat: view, candidates, mapping: portMapping, peers }
  }

  /** Asks the hosts again, as soon as manners allow. */
  askAgain(): void {
    this.#requestScheduler.requestSoon()
  }

  /** Tries to reach this peer, also beyond `links`; the hosts are asked first, so that the peer tries too. */
  connect(id: UserId, peer: PeerName): void {
    if (this.#connector.want(id, peer)) this.askAgain()
  }

  /** Ends the link with this peer, or the attempt to reach it. */
  disconnect(id: UserId): void {
    this.#connector.end(id)
    this.#peerStates.giveUp(id, this.#options.clock.now())
  }

  /** Opens one more local port that leads to a peer. Rejects with a Problem when it cannot be had. */
  addForward(forward: Forward): Promise<void> {
    return this.#forwarder.add(forward)
  }

  /** Closes one again: the very object that was added, or given at the start. */
  removeForward(forward: Forward): Promise<void> {
    return this.#forwarder.remove(forward)
  }

  /** From the program around us to linked peers, who are named by their readable user IDs. */
  get outlet(): Pick<Forwarder, 'sendTo' | 'openStream'> {
    return this.#forwarder
  }

  async #leave(): Promise<void> {
    this.#requestScheduler.stop()
    await Promise.all([this.#connector.stop(goodbyeMs), this.#state === 'joined' && this.#sendLeave()])
    await this.#close()
  }

  async #close(): Promise<void> {
    this.#requestScheduler.stop()
    await Promise.allSettled([this.#inbox.close(), this.#network.close(), this.#forwarder.close()])
    this.#sessions.wipe()
    this.#state = 'over'
  }

  #viewed(view: NatView, first: boolean): void {
    const { profile, publicEndpoints } = view
    const isPublic = isSeenFromOutside(publicEndpoints)
    this.#emit({ event: 'nat', ...profile, public: publicEndpoints.map(formatEndpoint), isPublic })
    if (!first) this.#announceChange()
  }

  /** What the host and our peers know of where we are is out of date. */
  #announceChange(): void {
    this.#connector.announceCandidates()
    this.#requestScheduler.requestSoon()
  }

  #ask(): void {
    const { hosts, clock } = this.#options
    const now = clock.now()
    const session = this.#sessions.create(now)
    const { candidates, tcpCandidates, nat } = this.#network
    const contactPoints = { candidates, tcpCandidates, nat }
    const sentAt = this.#correctedClock.wallNow()
    this.#correctedClock.asked(now, sentAt)
    void this.#inbox.send((host) => requestTo(host, this.#author, session, contactPoints, sentAt))
    this.#emit({ event: 'requested', hosts: hosts.length })
  }

  get #author(): Author {
    return { ...this.#options, clock: this.#correctedClock }
  }

  #passOn(peer: OfferedPeer, box: Uint8Array): void {
    void this.#inbox.send((host) => signalTo(host, this.#author, peer.id, box))
  }

  #reportFailure(peer: OfferedPeer, reason: FailureReason): void {
    void this.#inbox.send((host) => failureTo(host, this.#author, peer, reason))
  }

  /** The hosts may forget us; if the mail server does not take the letter soon, the entry expires by itself. */
  async #sendLeave(): Promise<void> {
    const sent = this.#inbox.send((host) => leaveTo(host, this.#author))
    await waitAtMost(this.#options.clock, leaveMs, sent)
  }

  #emit(event: AgentEvent): void {
    if (this.#state === 'over') return
    this.#peerStates.handle(event, this.#options.clock.now())
    try {
      this.#options.onEvent(event)
    } catch {
      // Whoever listens must not be able to stop the agent between two steps.
    }
  }
}
