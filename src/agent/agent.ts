// The life cycle of an agent: find our candidates, send a request to the hosts, connect to the peers they offer,
// keep our entry fresh, leave. Everything the agent uses comes in as an option.

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

/** The state of the agent at one moment. */
export type AgentReport = {
  readonly nat: NatView
  readonly candidates: readonly Candidate[]
  /** Null when the router has opened no port. */
  readonly mapping: PortMapping | null
  readonly peers: readonly (PeerStateEntry & { readonly quality: QualityReport | null })[]
}

/** Peers have this long to acknowledge our goodbye. */
const goodbyeGraceMs = 1_500
/** The mail server has this long to accept our leave letter. */
const leaveGraceMs = 5_000

export class Agent {
  readonly #options: AgentOptions
  /** Gives the time in our letters. */
  readonly #correctedClock: CorrectedClock
  readonly #sessions: SessionKeys
  readonly #peerStates = new PeerStates()
  readonly #network: Network
  readonly #connector: Connector
  readonly #inbox: Inbox
  readonly #forwarder: Forwarder
  readonly #requestScheduler: RequestScheduler
  #state: 'starting' | 'joined' | 'closed' = 'starting'
  #stopping: Promise<void> | null = null
  /** From our last answered request to its reply. A signal letter takes about as long. */
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
      // Evaluated at each use, because the list of friends may change.
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
      onView: (view, first) => this.#handleView(view, first),
      onPacket: (bytes, from) => this.#connector.receive(bytes, from),
      ...(settings.tcp && {
        onConnection: (connection, packet) => this.#connector.acceptConnection(connection, packet),
      }),
      onNetworkChange: () => {
        this.#connector.recheckLinks()
        this.#inbox.checkConnections()
      },
      onCandidatesChange: () => this.#announceChange(),
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
      onSignal: (peer, box) => this.#sendSignal(peer, box),
      onFailure: (peer, reason) => this.#sendFailure(peer, reason),
      onRequestNeeded: () => this.#requestScheduler.requestSoon(),
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
        this.#correctedClock.noteReply(session.requestedAt)
        if (letter.decline) {
          const { reason, againInMs } = letter.decline
          onEvent({ event: 'declined', reason, againInMs: this.#requestScheduler.handleDecline(againInMs) })
          return
        }
        onEvent({ event: 'replied', peers: letter.peers.length, sinceRequestMs })
        this.#requestScheduler.handleReply(letter.expiresInMs, session === this.#sessions.newest)
        this.#peerStates.noteOffered(letter.peers, nameOf, clock.now())
        this.#connector.handleReply(letter.peers, session)
      },
      onIntroduction: (letter, session) => {
        this.#peerStates.noteOffered(letter.peers, nameOf, clock.now())
        this.#connector.handleIntroduction(letter.peers, session)
      },
      onSignal: (letter) => this.#connector.handleSignal(letter.box),
      onDropped: (reason) => onEvent({ event: 'letter', outcome: 'dropped', reason }),
      onState: (state) => onEvent({ event: 'mailbox', ...state }),
      onUnsent: (letter, reason) => onEvent({ event: 'unsent', letter, reason }),
    })
    this.#requestScheduler = new RequestScheduler({
      clock,
      retryMs: settings.requestRetryMs,
      sendRequest: () => this.#sendRequest(),
      onNoReply: (sinceRequestMs) => {
        this.#correctedClock.noteNoReply()
        onEvent({ event: 'unanswered', sinceRequestMs })
      },
    })
  }

  /** Call it once. Rejects with a Problem and then leaves nothing open. Resolves early if `stop` is called meanwhile. */
  async start(): Promise<void> {
    if (this.#stopping) return
    const { identity, name, roomName } = this.#options
    try {
      await this.#forwarder.open()
      // If `stop` came while it was opening, `stop` has not closed it.
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

  /** Says goodbye to the peers and hosts, then closes everything. May be called at any time and more than once. */
  stop(): Promise<void> {
    this.#stopping ??= this.#leave()
    return this.#stopping
  }

  /** The state now. */
  get report(): AgentReport {
    const { view, candidates, portMapping } = this.#network
    const peers = this.#peerStates.entries.map((entry) => ({
      ...entry,
      quality: this.#connector.qualityWith(entry.id),
    }))
    return { nat: view, candidates, mapping: portMapping, peers }
  }

  /** Sends a new request as soon as the limits of the scheduler allow. */
  requestSoon(): void {
    this.#requestScheduler.requestSoon()
  }

  /** Connects to this peer, even beyond `links`. A request goes to the hosts first, so that the peer punches too. */
  connect(id: UserId, peer: PeerName): void {
    if (this.#connector.connect(id, peer)) this.requestSoon()
  }

  /** Ends the link with this peer, or the attempt to reach it. */
  disconnect(id: UserId): void {
    this.#connector.disconnect(id)
    this.#peerStates.noteAttemptStopped(id, this.#options.clock.now())
  }

  /** Opens one more local port that leads to a peer. Rejects with a Problem when the port cannot be opened. */
  addForward(forward: Forward): Promise<void> {
    return this.#forwarder.add(forward)
  }

  /** Closes the port of a forward. Pass the same object that was added or given in the options. */
  removeForward(forward: Forward): Promise<void> {
    return this.#forwarder.remove(forward)
  }

  /** Sends from the surrounding program to linked peers. Peers are named by their readable user IDs. */
  get forwarder(): Pick<Forwarder, 'sendTo' | 'openStream'> {
    return this.#forwarder
  }

  async #leave(): Promise<void> {
    this.#requestScheduler.stop()
    await Promise.all([this.#connector.stop(goodbyeGraceMs), this.#state === 'joined' && this.#sendLeave()])
    await this.#close()
  }

  async #close(): Promise<void> {
    this.#requestScheduler.stop()
    await Promise.allSettled([this.#inbox.close(), this.#network.close(), this.#forwarder.close()])
    this.#sessions.wipe()
    this.#state = 'closed'
  }

  #handleView(view: NatView, first: boolean): void {
    const { profile, publicEndpoints } = view
    const isPublic = isSeenFromOutside(publicEndpoints)
    this.#emit({ event: 'nat', ...profile, public: publicEndpoints.map(formatEndpoint), isPublic })
    if (!first) this.#announceChange()
  }

  /** The hosts and our peers have outdated candidates. */
  #announceChange(): void {
    this.#connector.announceCandidates()
    this.#requestScheduler.requestSoon()
  }

  #sendRequest(): void {
    const { hosts, clock } = this.#options
    const now = clock.now()
    const session = this.#sessions.create(now)
    const { candidates, tcpCandidates, nat } = this.#network
    const contactPoints = { candidates, tcpCandidates, nat }
    const sentAt = this.#correctedClock.wallNow()
    this.#correctedClock.noteRequest(now, sentAt)
    void this.#inbox.send((host) => requestTo(host, this.#author, session, contactPoints, sentAt))
    this.#emit({ event: 'requested', hosts: hosts.length })
  }

  get #author(): Author {
    return { ...this.#options, clock: this.#correctedClock }
  }

  #sendSignal(peer: OfferedPeer, box: Uint8Array): void {
    void this.#inbox.send((host) => signalTo(host, this.#author, peer.id, box))
  }

  #sendFailure(peer: OfferedPeer, reason: FailureReason): void {
    void this.#inbox.send((host) => failureTo(host, this.#author, peer, reason))
  }

  /** Asks the hosts to delete our entry. If the mail server does not accept the letter in time, the entry expires. */
  async #sendLeave(): Promise<void> {
    const sent = this.#inbox.send((host) => leaveTo(host, this.#author))
    await waitAtMost(this.#options.clock, leaveGraceMs, sent)
  }

  #emit(event: AgentEvent): void {
    if (this.#state === 'closed') return
    this.#peerStates.handle(event, this.#options.clock.now())
    try {
      this.#options.onEvent(event)
    } catch {
      // An error in a listener must not stop the agent between two steps.
    }
  }
}
