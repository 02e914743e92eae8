// What the two ends of a link say to each other once the handshake has brought keys: datagrams and their parts, pings,
// probes of the path's size, and where each of them is. How a link begins and ends is in link.ts.

import { type Endpoint, familyOf } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'
import { Datagrams } from './datagrams.ts'
import type { DirectionKeys, HandshakeOptions } from './handshake.ts'
import { KeepalivePings, type PingCounts } from './keepalive-pings.ts'
import type { LinkAction } from './link-events.ts'
import { frameKinds } from './packet-codec.ts'
import { type Frame, type OpenedFrame, PacketCrypto } from './packet-crypto.ts'
import { type Outcome, PathManager } from './path-manager.ts'

export type OpenLinkOptions = Pick<HandshakeOptions, 'crypto' | 'tag'> & {
  readonly remote: Endpoint
  /** The socket that the path leads from; the main one if left out. */
  readonly via?: Via
  /** How good the path is; only paths of a higher rank (`setCandidatePaths`) replace it while it works. Default 0. */
  readonly rank?: number
  readonly now: number
  /** A ping goes out this often, whatever else does. Default 8,000. */
  readonly keepaliveMs?: number
  /** Silence after which the link is lost, with no way back found. Default 30,000. */
  readonly lossMs?: number
  /** Above 0 only in tests of the counter's end. */
  readonly firstCounter?: number
}

/** Counters kept back for the parts of a datagram, pings and closing when a link has used all others. */
const reservedCounters = 256

export class OpenLink {
  readonly #options: Pick<OpenLinkOptions, 'crypto' | 'tag' | 'firstCounter'>
  /** Null before the handshake has brought keys, and after the end: then nothing is said. */
  #packetCrypto: PacketCrypto | null = null
  readonly #datagrams: Datagrams
  readonly #pings: KeepalivePings
  readonly pathManager: PathManager

  constructor(options: OpenLinkOptions) {
    const { remote, via = 0, rank = 0, now, crypto, keepaliveMs = 8_000, lossMs = 30_000 } = options
    this.#options = options
    this.#pings = new KeepalivePings(now, keepaliveMs, lossMs)
    this.#datagrams = new Datagrams(now, familyOf(remote.address))
    this.pathManager = new PathManager({ remote, via, rank, now, randomBytes: crypto.randomBytes })
  }

  /** `keys` are fresh and now belong to this object. */
  begin(now: number, keys: DirectionKeys): void {
    const { crypto, tag, firstCounter } = this.#options
    this.#packetCrypto = new PacketCrypto(crypto, tag, keys, firstCounter)
    this.#pings.hear(now)
  }

  end(): void {
    this.#packetCrypto?.wipe()
    this.#packetCrypto = null
    this.#datagrams.clear()
  }

  get isDisturbed(): boolean {
    return this.#pings.isDisturbed
  }

  get pings(): PingCounts {
    return this.#pings.counts
  }

  set keepaliveMs(ms: number) {
    this.#pings.keepaliveMs = ms
  }

  get wholeBytes(): number {
    return this.#datagrams.wholeBytes
  }

  /** Nothing but a goodbye should follow. */
  get isWornOut(): boolean {
    return this.#packetCrypto !== null && this.#packetCrypto.remaining <= reservedCounters
  }

  /** Silence until then ends the link. */
  lostAt(): number {
    return this.#pings.lostAt()
  }

  dueAt(): number {
    return Math.min(this.#pings.dueAt(), this.#datagrams.dueAt(), this.pathManager.dueAt())
  }

  /** Pings, and suspicion when none is answered. */
  advancePings(now: number): LinkAction[] {
    const due = this.#pings.advance(now)
    const actions: LinkAction[] = []
    if (due.disturbed) {
      this.pathManager.disturb(now)
      actions.push({ type: 'event', event: { type: 'disturbed' } })
    }
    if (due.ping) actions.push(...this.ping(now))
    return actions
  }

  /** What is due about the path's size. */
  advanceMtuDiscovery(now: number): LinkAction[] {
    const probe = this.#packetCrypto && this.#datagrams.probe(now)
    if (!probe) return []
    return [...this.sendFrame(probe.frame), ...(probe.withPing ? this.ping(now) : [])]
  }

  /** What is due about other paths. */
  advancePaths(now: number): LinkAction[] {
    return this.#packetCrypto ? this.#follow(now, this.pathManager.advance(now)) : []
  }

  ping(now: number): LinkAction[] {
    return this.#packetCrypto ? this.sendFrame({ kind: frameKinds.ping, body: this.#pings.next(now) }) : []
  }

  /** Somebody else has proven this path. False when it is the present one. */
  move(now: number, remote: Endpoint, via: Via, rank: number): boolean {
    const hasMoved = this.pathManager.move(remote, via, rank)
    if (hasMoved) this.#datagrams.restart(now, familyOf(remote.address))
    return hasMoved
  }

  sendDatagram(now: number, bytes: Uint8Array): LinkAction[] {
    const packetCrypto = this.#packetCrypto
    if (!packetCrypto) return []
    this.#pings.noteTraffic(now)
    return this.#datagrams
      .frames(bytes)
      .map(({ kind, body }) => this.sendPacket(packetCrypto.seal(kind, body)))
  }

  /** The frame in a packet that the peer surely sent and that was not seen before; else null. */
  open(bytes: Uint8Array): OpenedFrame | null {
    return this.#packetCrypto?.open(bytes) ?? null
  }

  /** Something authentic came. True when that ends a disturbance. */
  hear(now: number): boolean {
    this.#datagrams.hear(now)
    return this.#pings.hear(now)
  }

  /** Frames about the link's end mean nothing here. This runs for every datagram of the game. */
  handleFrame(now: number, frame: OpenedFrame, from: Endpoint, via: Via, actions: LinkAction[]): void {
    if (frame.kind >= frameKinds.challenge)
      actions.push(...this.#follow(now, this.pathManager.handleFrame(now, frame, from, via)))
    else this.#handleContent(now, frame, actions)
    if (frame.isNewest) this.pathManager.heardFrom(now, from, via)
  }

  #handleContent(now: number, { kind, body }: Frame, actions: LinkAction[]): void {
    switch (kind) {
      case frameKinds.datagram:
        this.#pings.noteTraffic(now)
        actions.push({ type: 'event', event: { type: 'datagram', bytes: body } })
        return
      case frameKinds.part: {
        this.#pings.noteTraffic(now)
        const whole = this.#datagrams.takePart(now, body)
        if (whole) actions.push({ type: 'event', event: { type: 'datagram', bytes: whole } })
        return
      }
      case frameKinds.probe:
        if (body.length >= 4)
          actions.push(...this.sendFrame({ kind: frameKinds.probeAnswer, body: body.subarray(0, 4) }))
        return
      case frameKinds.probeAnswer:
        this.#datagrams.probeAnswered(now, body)
        return
      case frameKinds.ping:
        if (body.length === 4) actions.push(...this.sendFrame({ kind: frameKinds.pong, body }))
        return
      case frameKinds.pong:
        this.#handlePong(now, body, actions)
        return
    }
  }

  #handlePong(now: number, body: Uint8Array, actions: LinkAction[]): void {
    const ms = this.#pings.roundTripMs(now, body)
    if (ms === null) return
    this.#datagrams.noteRoundTrip(ms)
    this.pathManager.noteRoundTrip(ms)
    actions.push({ type: 'event', event: { type: 'round-trip', ms } })
  }

  #follow(now: number, { frames, hasMoved, candidates }: Outcome): LinkAction[] {
    const actions: LinkAction[] = []
    if (hasMoved) {
      const { remote, via } = this.pathManager
      this.#datagrams.restart(now, familyOf(remote.address))
      actions.push({ type: 'event', event: { type: 'moved', remote, via } }, ...this.ping(now))
    }
    for (const frame of frames) {
      const { remote, via } = frame.to ? { remote: frame.to, via: frame.via } : this.pathManager
      const bytes = this.#packetCrypto?.seal(frame.kind, frame.body)
      if (bytes) actions.push(sending(bytes, remote, via))
    }
    if (candidates) actions.push({ type: 'event', event: { type: 'candidates', candidates } })
    return actions
  }

  /** On the present path. */
  sendFrame({ kind, body }: Frame): LinkAction[] {
    return this.#packetCrypto ? [this.sendPacket(this.#packetCrypto.seal(kind, body))] : []
  }

  /** Bytes as they are, on the present path. */
  sendPacket(bytes: Uint8Array): LinkAction {
    return sending(bytes, this.pathManager.remote, this.pathManager.via)
  }
}

function sending(bytes: Uint8Array, to: Endpoint, via: Via): LinkAction {
  return via === 0 ? { type: 'send', to, bytes } : { type: 'send', to, bytes, via }
}
