// One connection with one peer. It punches until a path is proven, then opens a link on that path. It ends as `failed`
// (never open) or `closed` (was open).
//
//     punching ──path──> shaking hands ──> open ──> closed
//         └──────────────────┴──> failed

import { equalBytes, viewOf } from '../../base/bytes.ts'
import type { Clock } from '../../base/clock.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'
import type { Endpoint } from '../../base/endpoint.ts'
import { isConnection, type Via } from '../../base/protocol-machine.ts'
import type { OfferedPeer } from '../../letter/letter-types.ts'
import { openSignal, sealSignal } from '../../letter/seal-signal.ts'
import type { LinkEvent } from '../../link/link-events.ts'
import { firstByteAboveStun } from '../../nat/stun-message.ts'
import { type Driver, drive } from '../../net/protocol-machine-driver.ts'
import type { PacketConnection } from '../../net/tcp/packet-connection.ts'
import type { SocketSet } from '../../net/udp/socket-set.ts'
import { checkTag } from '../../punch/check-packet.ts'
import type { Path } from '../../punch/connectivity-checks.ts'
import {
  type Attempt,
  type AttemptEvent,
  type AttemptFailure,
  type AttemptOptions,
  createAttempt,
} from '../../punch/punch-attempt.ts'
import { isHard } from '../../punch/punch-plan.ts'
import type { Network } from '../network/network.ts'
import { LinkDriver } from './link-driver.ts'
import type { QualityReport } from './link-quality.ts'
import { type PairKeys, wipePairKeys } from './pair-keys.ts'
import { PeerCandidates } from './peer-candidates.ts'
import { rankOfPath } from './peer-paths.ts'
import { TcpFallback, type TcpFallbackNetwork } from './tcp-fallback.ts'

export type PeerConnectionFailure = AttemptFailure | 'no-handshake' | 'stopped'

export type PeerConnectionEvent =
  | { readonly type: 'open'; readonly path: Path; readonly packets: number; readonly sincePunchMs: number }
  | { readonly type: 'path'; readonly path: Path }
  /** The peer is silent. The link looks for another path. */
  | { readonly type: 'disturbed' }
  | { readonly type: 'recovered' }
  | { readonly type: 'failed'; readonly reason: PeerConnectionFailure }
  | { readonly type: 'closed'; readonly reason: string }

export type PeerConnectionNetwork = TcpFallbackNetwork &
  Pick<Network, 'nat' | 'servers' | 'candidates' | 'sockets'>

type PeerConnectionOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly sessionKey: Uint8Array
  readonly peer: OfferedPeer
  readonly keys: PairKeys
  readonly plan: AttemptOptions['plan']
  /** How long a direct attempt lasts. Other plans need more time and have their own `attemptMs`. */
  readonly attemptMs: number
  /** TTL of the packets that only have to open our own NAT. */
  readonly bubbleTtl?: number
  /** How long a letter takes. Null if unknown. */
  readonly mailMs: number | null
  /** The longest interval between pings. It is shorter when a NAT mapping is known to expire sooner. */
  readonly keepaliveMs?: number
  readonly network: PeerConnectionNetwork
  /** A signal, sealed for the peer. It has to go by mail. */
  readonly onSignal: (box: Uint8Array) => void
  readonly onDatagram: (bytes: Uint8Array) => void
  readonly onEvent: (event: PeerConnectionEvent) => void
}

/** While a better path may exist, both sides search for it at this interval, at the same time. */
const pathSearchMs = 180_000
/** The same on a TCP path. It is shorter, because TCP delays the datagrams of games. */
const pathSearchOnTcpMs = 30_000

export class PeerConnection {
  readonly peer: OfferedPeer
  readonly #options: PeerConnectionOptions
  readonly #startedAt: number
  readonly #sockets: SocketSet
  readonly #attempt: Attempt
  readonly #punch: Driver<AttemptEvent>
  readonly #tcp: TcpFallback
  /** Why UDP failed. TCP may still succeed. */
  #failure: PeerConnectionFailure | null = null
  #link: LinkDriver | null = null
  #path: Path | null = null
  readonly #candidates: PeerCandidates
  #cancelPathSearch: () => void = () => {}
  #packets = 0
  #isClosing = false
  #state: 'connecting' | 'open' | 'ended' = 'connecting'

  constructor(options: PeerConnectionOptions) {
    const { clock, crypto, keys, peer, plan, attemptMs, network } = options
    this.#options = options
    this.peer = peer
    this.#candidates = new PeerCandidates(network, peer)
    this.#startedAt = clock.now()
    this.#sockets = network.sockets(
      (bytes, from, via) => this.#receiveOnExtraSocket(bytes, from, via),
      (via) => this.#punch.socketFailed(via),
    )
    this.#tcp = new TcpFallback({
      clock,
      crypto,
      keys,
      network,
      peer,
      plan,
      attemptMs,
      onPath: (path, packets) => this.#usePath(path, packets),
      onPacket: (bytes, from, via) => this.receiveLinkPacket(bytes, from, via),
      onConnectionClosed: (via) => {
        if (this.#link?.via === via) this.#link.recheck()
      },
      onAttemptEnd: () => this.#failIfNothingLeft(),
      currentPath: () => {
        const link = this.#link
        return link && { via: link.via, isSilent: link.isDisturbed }
      },
    })
    this.#attempt = createAttemptFor(options)
    this.#punch = drive({
      machine: this.#attempt,
      clock,
      send: (bytes, to, via, ttl) => this.#sockets.send(bytes, to, via, ttl),
      close: (via) => this.#sockets.close(via),
      onEvent: (event) => this.#handlePunch(event),
    })
  }

  /** True when the link is open and not closing. */
  get isOpen(): boolean {
    return this.#state === 'open' && !this.#isClosing
  }

  get isClosing(): boolean {
    return this.#isClosing
  }

  /** True while there is no path. Then the link cannot be open on the peer's side either. */
  get isPunching(): boolean {
    return this.#state === 'connecting' && this.#link === null
  }

  /** Null while there is no link. */
  get quality(): QualityReport | null {
    return this.#link?.quality ?? null
  }

  receiveCheck(bytes: Uint8Array, from: Endpoint): void {
    if (this.#state !== 'ended') this.#punch.receive(bytes, from)
  }

  /** Takes a signal from a letter that a host relayed. Returns false when the peer did not seal it. */
  receiveSignal(box: Uint8Array): boolean {
    const { crypto, keys } = this.#options
    if (this.#state === 'ended') return false
    const signal = openSignal(crypto, { tag: keys.tag, ...keys.signal }, box)
    if (signal) this.#punch.run((now) => this.#attempt.handleSignal(now, signal))
    return signal !== null
  }

  /** Takes a TCP connection that came in. Returns false when it is not from the peer. */
  acceptConnection(connection: PacketConnection, packet: Uint8Array): boolean {
    return this.#state !== 'ended' && this.#tcp.accept(connection, packet)
  }

  receiveLinkPacket(bytes: Uint8Array, from: Endpoint, via: Via = 0): void {
    this.#link?.receive(bytes, from, via)
  }

  /** Call it when our network may have changed. Pings the peer at once. */
  recheck(): void {
    this.#link?.recheck()
  }

  /** Announces our candidates to the peer if they have changed. Both sides then search for a better path. */
  announceCandidates(): void {
    if (this.#state === 'open' && this.#candidates.hasChanged)
      this.#link?.announceCandidates(this.#candidates.takeAnnouncement())
  }

  /** The largest datagram that the link now sends in one packet. */
  maxUnfragmentedBytes(): number {
    return this.#link?.maxUnfragmentedBytes ?? 0
  }

  /** The datagram is lost when the link is not open or the datagram is too big. */
  send(bytes: Uint8Array): void {
    this.#link?.send(bytes)
  }

  /** Emits the end as an event: at once without a link, otherwise when the peer has acknowledged. */
  close(): void {
    this.#isClosing = true
    if (this.#link) this.#link.close()
    else this.#end({ type: 'failed', reason: 'stopped' })
  }

  /** Ends at once without a goodbye and without an event. */
  abandon(): void {
    this.#finish()
  }

  /** Takes a packet from a socket that only this connection uses. */
  #receiveOnExtraSocket(bytes: Uint8Array, from: Endpoint, via: Via): void {
    const first = bytes[0]
    if (first === undefined || this.#state === 'ended') return
    if (first < firstByteAboveStun || checkTag(bytes)) this.#punch.receive(bytes, from, via)
    else if (equalBytes(bytes.subarray(1, 9), this.#options.keys.tag))
      this.receiveLinkPacket(bytes, from, via)
  }

  #handlePunch(event: AttemptEvent): void {
    switch (event.type) {
      case 'signal': {
        const { crypto, keys, onSignal } = this.#options
        onSignal(sealSignal(crypto, { tag: keys.tag, ...keys.signal }, event.signal))
        return
      }
      case 'path':
      case 'better-path':
        this.#tcp.stopDialling()
        this.#usePath(event.path, event.packets)
        return
      case 'failed':
        this.#failure = event.reason
        this.#failIfNothingLeft()
        return
      case 'done':
        return
    }
  }

  /** Fails when neither UDP nor TCP is left to try. */
  #failIfNothingLeft(): void {
    const reason = this.#failure
    if (reason !== null && this.#tcp.isOver && !this.#link) this.#end({ type: 'failed', reason })
  }

  /** The path is proven in both directions, over UDP or TCP. We use the first path, later a better one, or any path while
   *  the peer is silent. */
  #usePath(path: Path, packets: number): void {
    if (!this.#link) {
      this.#packets = packets
      this.#path = path
      this.#startLink(path)
      return
    }
    const isBetter = !this.#path || rankOfPath(path) > rankOfPath(this.#path)
    if (!isBetter && !this.#link.isDisturbed) return
    this.#path = path
    this.#link.moveTo(path)
    if (this.#state === 'open') this.#options.onEvent({ type: 'path', path })
  }

  #startLink(path: Path): void {
    this.#link = new LinkDriver({
      ...this.#options,
      path,
      send: (bytes, to, via) => {
        if (isConnection(via)) this.#tcp.send(bytes, via)
        else this.#sockets.send(bytes, to, via)
      },
      onEvent: (event) => this.#handleLink(event),
    })
  }

  #handleLink(event: LinkEvent): void {
    switch (event.type) {
      case 'open':
        if (this.#state !== 'connecting' || !this.#path) return
        this.#state = 'open'
        this.#options.onEvent({
          type: 'open',
          path: this.#path,
          packets: this.#packets,
          sincePunchMs: this.#options.clock.now() - this.#startedAt,
        })
        this.#link?.setCandidatePaths(this.#candidates.paths)
        this.#schedulePathSearch()
        return
      case 'datagram':
        this.#link?.noteReceived(event.bytes.length)
        this.#options.onDatagram(event.bytes)
        return
      case 'round-trip':
        this.#link?.noteRoundTrip(event.ms)
        return
      case 'disturbed':
        this.#tcp.restart()
        this.#options.onEvent(event)
        return
      case 'recovered':
        this.#tcp.stopDialling()
        this.#options.onEvent(event)
        return
      case 'moved':
        if (!this.#path) return
        this.#path = this.#candidates.pathAfterMove(event.remote, event.via, this.#path)
        this.#options.onEvent({ type: 'path', path: this.#path })
        return
      case 'candidates':
        this.#candidates.setPeerCandidates(event.candidates)
        this.#link?.setCandidatePaths(this.#candidates.paths)
        // A peer that has come into our LAN may get more of our candidates than before.
        this.announceCandidates()
        return
      case 'closed':
        if (this.#state === 'open') this.#end({ type: 'closed', reason: event.reason })
        else
          this.#end({ type: 'failed', reason: event.reason === 'no-handshake' ? 'no-handshake' : 'stopped' })
        return
    }
  }

  /** Only the opener starts a search, because packets that open two firewalls must come from both sides at once. */
  #schedulePathSearch(): void {
    if (this.#options.keys.role === 'responder') return
    const isByTcp = this.#path !== null && isConnection(this.#path.via)
    this.#cancelPathSearch = this.#options.clock.after(isByTcp ? pathSearchOnTcpMs : pathSearchMs, () => {
      if (this.#path && this.#candidates.canImprove(this.#path))
        this.#link?.announceCandidates(this.#candidates.takeAnnouncement())
      this.#schedulePathSearch()
    })
  }

  #end(event: PeerConnectionEvent): void {
    if (this.#finish()) this.#options.onEvent(event)
  }

  /** Returns false when the connection had already ended. */
  #finish(): boolean {
    if (this.#state === 'ended') return false
    this.#state = 'ended'
    this.#cancelPathSearch()
    this.#attempt.stop()
    this.#punch.stop()
    this.#tcp.stop()
    this.#link?.stop()
    this.#sockets.closeAll()
    wipePairKeys(this.#options.crypto, this.#options.keys)
    return true
  }
}

function createAttemptFor(options: PeerConnectionOptions): Attempt {
  const { clock, crypto, keys, plan, peer, attemptMs, bubbleTtl, mailMs, network } = options
  return createAttempt({
    crypto,
    keys: { tag: keys.tag, ...keys.punch },
    role: keys.role,
    plan,
    ...(!isHard(plan) && { attemptMs }),
    ...(bubbleTtl !== undefined && { bubbleTtl }),
    sameNat: peer.sameNat,
    servers: network.servers,
    publicEndpoints: network.candidates
      .filter(({ kind }) => kind === 'server-reflexive')
      .map(({ endpoint }) => endpoint),
    now: clock.now(),
    wallNow: clock.wallNow(),
    mailMs,
    onLoopback: network.onLoopback,
    random: () => viewOf(crypto.randomBytes(4)).getUint32(0) / 2 ** 32,
  })
}
