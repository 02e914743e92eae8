// One connection with one peer: punch until a path is proven, then a link on it. It ends as `failed` (never open)
// or `closed` (was open).
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
  /** The peer is silent; another path is looked for. */
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
  /** How long a direct attempt lasts; the others need more, and say so themselves. */
  readonly attemptMs: number
  /** Hops that packets meant only to open our own NAT may live. */
  readonly bubbleTtl?: number
  /** How long a letter to the peer may take, as far as we have seen. */
  readonly mailMs: number | null
  /** A ping goes out at least so often; more often where a NAT is known to forget sooner. */
  readonly keepaliveMs?: number
  readonly network: PeerConnectionNetwork
  /** Sealed for the peer, to be sent by mail. */
  readonly onSignal: (box: Uint8Array) => void
  readonly onDatagram: (bytes: Uint8Array) => void
  readonly onEvent: (event: PeerConnectionEvent) => void
}

/** While a better path may exist, both sides look for it so often, at the same time. */
const lookAgainMs = 180_000
/** The same on a path by TCP: a game wants to be off it. */
const lookBeyondTcpMs = 30_000

export class PeerConnection {
  readonly peer: OfferedPeer
  readonly #options: PeerConnectionOptions
  readonly #startedAt: number
  readonly #sockets: SocketSet
  readonly #attempt: Attempt
  readonly #punch: Driver<AttemptEvent>
  readonly #tcp: TcpFallback
  /** UDP has failed, and TCP has not yet. */
  #failure: PeerConnectionFailure | null = null
  #link: LinkDriver | null = null
  #path: Path | null = null
  readonly #candidates: PeerCandidates
  #cancelLook: () => void = () => {}
  #packets = 0
  #isClosing = false
  #state: 'connecting' | 'open' | 'over' = 'connecting'

  constructor(options: PeerConnectionOptions) {
    const { clock, crypto, keys, peer, plan, attemptMs, network } = options
    this.#options = options
    this.peer = peer
    this.#candidates = new PeerCandidates(network, peer)
    this.#startedAt = clock.now()
    this.#sockets = network.sockets(
      (bytes, from, via) => this.#receiveBeside(bytes, from, via),
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
      onPath: (path, packets) => this.#takePath(path, packets),
      onPacket: (bytes, from, via) => this.receiveLinkPacket(bytes, from, via),
      onGone: (via) => {
        if (this.#link?.via === via) this.#link.recheck()
      },
      onOver: () => this.#failAtLast(),
      inUse: () => {
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

  /** And not about to close. */
  get isOpen(): boolean {
    return this.#state === 'open' && !this.#isClosing
  }

  get isClosing(): boolean {
    return this.#isClosing
  }

  /** No path yet, so the peer cannot have an open link with us here either. */
  get isPunching(): boolean {
    return this.#state === 'connecting' && this.#link === null
  }

  /** Null before the link. */
  get quality(): QualityReport | null {
    return this.#link?.quality ?? null
  }

  receiveCheck(bytes: Uint8Array, from: Endpoint): void {
    if (this.#state !== 'over') this.#punch.receive(bytes, from)
  }

  /** From a letter that the host relayed. False when the peer did not say it. */
  receiveSignal(box: Uint8Array): boolean {
    const { crypto, keys } = this.#options
    if (this.#state === 'over') return false
    const signal = openSignal(crypto, { tag: keys.tag, ...keys.signal }, box)
    if (signal) this.#punch.run((now) => this.#attempt.handleSignal(now, signal))
    return signal !== null
  }

  /** The peer calls by TCP; false when it is not the peer. */
  acceptConnection(connection: PacketConnection, packet: Uint8Array): boolean {
    return this.#state !== 'over' && this.#tcp.accept(connection, packet)
  }

  receiveLinkPacket(bytes: Uint8Array, from: Endpoint, via: Via = 0): void {
    this.#link?.receive(bytes, from, via)
  }

  /** Our network may have changed: asks the peer at once. */
  recheck(): void {
    this.#link?.recheck()
  }

  /** Announces to the peer where we may be reached from now on, when that is news, and both look for a better path. */
  announceCandidates(): void {
    if (this.#state === 'open' && this.#candidates.hasNews)
      this.#link?.announceCandidates(this.#candidates.announce())
  }

  /** The largest datagram that the link carries in one piece now. */
  singlePacketBytes(): number {
    return this.#link?.singlePacketBytes ?? 0
  }

  /** Lost when the link is not open or the datagram too big: it is a datagram. */
  send(bytes: Uint8Array): void {
    this.#link?.send(bytes)
  }

  /** The end is emitted as an event: at once, or when the peer has acknowledged. */
  close(): void {
    this.#isClosing = true
    if (this.#link) this.#link.close()
    else this.#end({ type: 'failed', reason: 'stopped' })
  }

  /** Ends at once, without a goodbye and without an event. */
  abandon(): void {
    this.#finish()
  }

  /** By a socket that only this connection uses. */
  #receiveBeside(bytes: Uint8Array, from: Endpoint, via: Via): void {
    const first = bytes[0]
    if (first === undefined || this.#state === 'over') return
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
        this.#tcp.cease()
        this.#takePath(event.path, event.packets)
        return
      case 'failed':
        this.#failure = event.reason
        this.#failAtLast()
        return
      case 'done':
        return
    }
  }

  /** When there is nothing left to try. */
  #failAtLast(): void {
    const reason = this.#failure
    if (reason !== null && this.#tcp.isOver && !this.#link) this.#end({ type: 'failed', reason })
  }

  /** Proven in both directions, by UDP or TCP. The first is taken, and later a better one, or any while the peer is silent. */
  #takePath(path: Path, packets: number): void {
    if (!this.#link) {
      this.#packets = packets
      this.#path = path
      this.#shakeHands(path)
      return
    }
    const isBetter = !this.#path || rankOfPath(path) > rankOfPath(this.#path)
    if (!isBetter && !this.#link.isDisturbed) return
    this.#path = path
    this.#link.moveTo(path)
    if (this.#state === 'open') this.#options.onEvent({ type: 'path', path })
  }

  #shakeHands(path: Path): void {
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
        this.#scheduleLook()
        return
      case 'datagram':
        this.#link?.noteReceived(event.bytes.length)
        this.#options.onDatagram(event.bytes)
        return
      case 'round-trip':
        this.#link?.noteRoundTrip(event.ms)
        return
      case 'disturbed':
        this.#tcp.beginAgain()
        this.#options.onEvent(event)
        return
      case 'recovered':
        this.#tcp.cease()
        this.#options.onEvent(event)
        return
      case 'moved':
        if (!this.#path) return
        this.#path = this.#candidates.pathTo(event.remote, event.via, this.#path)
        this.#options.onEvent({ type: 'path', path: this.#path })
        return
      case 'candidates':
        this.#candidates.handle(event.candidates)
        this.#link?.setCandidatePaths(this.#candidates.paths)
        // Whoever comes into our LAN may hear more of us than before.
        this.announceCandidates()
        return
      case 'closed':
        if (this.#state === 'open') this.#end({ type: 'closed', reason: event.reason })
        else
          this.#end({ type: 'failed', reason: event.reason === 'no-handshake' ? 'no-handshake' : 'stopped' })
        return
    }
  }

  /** One side says when: what opens a path through two firewalls has to come from both at once. */
  #scheduleLook(): void {
    if (this.#options.keys.role === 'responder') return
    const isByTcp = this.#path !== null && isConnection(this.#path.via)
    this.#cancelLook = this.#options.clock.after(isByTcp ? lookBeyondTcpMs : lookAgainMs, () => {
      if (this.#path && this.#candidates.mayImprove(this.#path))
        this.#link?.announceCandidates(this.#candidates.announce())
      this.#scheduleLook()
    })
  }

  #end(event: PeerConnectionEvent): void {
    if (this.#finish()) this.#options.onEvent(event)
  }

  /** False when it was over already. */
  #finish(): boolean {
    if (this.#state === 'over') return false
    this.#state = 'over'
    this.#cancelLook()
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
