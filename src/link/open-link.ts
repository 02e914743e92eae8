// An open link, once the handshake has brought keys: datagrams, pings, MTU probes and path changes. How a link
// begins and ends is in link.ts.

import { type Endpoint, familyOf } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'
import { Datagrams } from './datagrams.ts'
import type { DirectionKeys, HandshakeOptions } from './handshake.ts'
import { KeepalivePings, type PingCounts } from './keepalive-pings.ts'
import type { LinkAction } from './link-events.ts'
import { frameKinds } from './packet-codec.ts'
import { type Frame, type OpenedFrame, PacketCrypto } from './packet-crypto.ts'
import { PathManager, type PathOutcome } from './path-manager.ts'

export type OpenLinkOptions = Pick<HandshakeOptions, 'crypto' | 'tag'> & {
  readonly remote: Endpoint
  /** The socket of the path; default: the main one. */
  readonly via?: Via
  /**
   * Rank of the path, 0 by default. While it works, only paths of a higher rank (`setCandidatePaths`) replace
   * it.
   */
  readonly rank?: number
  readonly now: number
  /** Time between two pings, in ms, whatever else is sent. Default 8,000. */
  readonly keepaliveMs?: number
  /** After so much silence the link is lost, in ms. Default 30,000. */
  readonly lossMs?: number
  /** Above 0 only in tests of the highest counter. */
  readonly firstCounter?: number
}

/** Counters kept for the last datagram's fragments, pings and the close. */
const reservedCounters = 256

export class OpenLink {
  readonly #options: Pick<OpenLinkOptions, 'crypto' | 'tag' | 'firstCounter'>
  /** Null before the handshake has brought keys and after the end; then nothing is sent. */
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

  /** `keys` are fresh, and this object owns them from now on. */
  begin(now: number, keys: DirectionKeys): void {
    const { crypto, tag, firstCounter } = this.#options
    this.#packetCrypto = new PacketCrypto(crypto, tag, keys, firstCounter)
    this.#pings.noteReceived(now)
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

  get singlePacketBytes(): number {
    return this.#datagrams.singlePacketBytes
  }

  /** The counters are nearly used up: only a close may follow. */
  get isExhausted(): boolean {
    return this.#packetCrypto !== null && this.#packetCrypto.remaining <= reservedCounters
  }

  /** When the link is lost unless a packet arrives. */
  lostAt(): number {
    return this.#pings.lostAt()
  }

  dueAt(): number {
    return Math.min(this.#pings.dueAt(), this.#datagrams.dueAt(), this.pathManager.dueAt())
  }

  /** Sends due pings, and declares a disturbance when none is answered. */
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

  /** Sends the MTU probe that is due. */
  advanceMtuDiscovery(now: number): LinkAction[] {
    const probe = this.#packetCrypto && this.#datagrams.probe(now)
    if (!probe) return []
    return [...this.sendFrame(probe.frame), ...(probe.needsPing ? this.ping(now) : [])]
  }

  /** Sends due challenges and announcements. */
  advancePaths(now: number): LinkAction[] {
    return this.#packetCrypto ? this.#applyPathOutcome(now, this.pathManager.advance(now)) : []
  }

  ping(now: number): LinkAction[] {
    return this.#packetCrypto
      ? this.sendFrame({ kind: frameKinds.ping, body: this.#pings.nextBody(now) })
      : []
  }

  /** Uses a path that the caller has proven. False when it is the present one. */
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

  /** The frame of an authentic packet that was not seen before; else null. */
  open(bytes: Uint8Array): OpenedFrame | null {
    return this.#packetCrypto?.open(bytes) ?? null
  }

  /** An authentic packet arrived. True when that ends a disturbance. */
  noteReceived(now: number): boolean {
    this.#datagrams.noteReceived(now)
    return this.#pings.noteReceived(now)
  }

  /** Ignores the frames that close a link. Runs for every datagram of the game, so it appends to `actions`. */
  handleFrame(now: number, frame: OpenedFrame, from: Endpoint, via: Via, actions: LinkAction[]): void {
    if (frame.kind >= frameKinds.challenge)
      actions.push(...this.#applyPathOutcome(now, this.pathManager.handleFrame(now, frame, from, via)))
    else this.#handleContent(now, frame, actions)
    if (frame.isNewest) this.pathManager.noteReceivedOn(now, from, via)
  }

  #handleContent(now: number, { kind, body }: Frame, actions: LinkAction[]): void {
    switch (kind) {
      case frameKinds.datagram:
        this.#pings.noteTraffic(now)
        actions.push({ type: 'event', event: { type: 'datagram', bytes: body } })
        return
      case frameKinds.fragment: {
        this.#pings.noteTraffic(now)
        const whole = this.#datagrams.takeFragment(now, body)
        if (whole) actions.push({ type: 'event', event: { type: 'datagram', bytes: whole } })
        return
      }
      case frameKinds.probe:
        if (body.length >= 4)
          actions.push(...this.sendFrame({ kind: frameKinds.probeAnswer, body: body.subarray(0, 4) }))
        return
      case frameKinds.probeAnswer:
        this.#datagrams.handleProbeAnswer(now, body)
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

  #applyPathOutcome(now: number, { frames, hasMoved, candidates }: PathOutcome): LinkAction[] {
    const actions: LinkAction[] = []
    if (hasMoved) {
      const { remote, via } = this.pathManager
      this.#datagrams.restart(now, familyOf(remote.address))
      actions.push({ type: 'event', event: { type: 'moved', remote, via } }, ...this.ping(now))
    }
    for (const frame of frames) {
      const { remote, via } = frame.to ? { remote: frame.to, via: frame.via } : this.pathManager
      const bytes = this.#packetCrypto?.seal(frame.kind, frame.body)
      if (bytes) actions.push(sendAction(bytes, remote, via))
    }
    if (candidates) actions.push({ type: 'event', event: { type: 'candidates', candidates } })
    return actions
  }

  /** Sends a frame on the present path. */
  sendFrame({ kind, body }: Frame): LinkAction[] {
    return this.#packetCrypto ? [this.sendPacket(this.#packetCrypto.seal(kind, body))] : []
  }

  /** Sends a packet, already sealed, on the present path. */
  sendPacket(bytes: Uint8Array): LinkAction {
    return sendAction(bytes, this.pathManager.remote, this.pathManager.via)
  }
}

function sendAction(bytes: Uint8Array, to: Endpoint, via: Via): LinkAction {
  return via === 0 ? { type: 'send', to, bytes } : { type: 'send', to, bytes, via }
}
