// A link: the authenticated live channel on a punched path (A7, A10, C4). It begins with a handshake, then carries
// frames both ways. Pings keep the NAT mapping open and detect silence. The link changes its path when the present one
// falls silent or the peer moves. It ends with a close that is acknowledged.
//
//      handshake ──> open ──> closing ──> closed         every state may also lead straight to closed
//
// A closed link sends nothing, answers nothing, and has wiped its keys.

import type { Candidate, Endpoint } from '../base/endpoint.ts'
import type { Machine, Via } from '../base/protocol-machine.ts'
import type { CandidatePath } from './candidate-paths.ts'
import { Handshake, type HandshakeOptions } from './handshake.ts'
import type { PingCounts } from './keepalive-pings.ts'
import type { CloseReason, LinkAction, LinkEvent } from './link-events.ts'
import { OpenLink, type OpenLinkOptions } from './open-link.ts'
import { dataByte, frameKinds, handshakeByte, maxDatagramBytes } from './packet-codec.ts'

export type LinkOptions = HandshakeOptions &
  OpenLinkOptions & {
    /** How long the handshake may take, in ms. Default 30,000. */
    readonly handshakeMs?: number
  }

type LinkState = 'handshake' | 'open' | 'closing' | 'closed'

/** The handshake is repeated after 200 ms. The gap then grows by half each time, up to a second. */
const firstRepeatMs = 200
const maxRepeatMs = 1000
const closeRepeatMs = 250
const maxCloses = 4
const noBody = new Uint8Array(0)

export function createLink(options: LinkOptions): Link {
  return new Link(options)
}

export class Link implements Machine<LinkEvent> {
  readonly #role: LinkOptions['role']
  readonly #handshake: Handshake
  readonly #handshakeDeadline: number
  readonly #openLink: OpenLink
  #state: LinkState = 'handshake'
  /** When the opener repeats its handshake packet, or a closing side repeats its close. */
  #repeatAt: number | null
  #repeatMs = firstRepeatMs
  #closes = 0

  /** An opener sends its first packet at the first `handleTimeout`, which is due at once. */
  constructor(options: LinkOptions) {
    this.#role = options.role
    this.#handshakeDeadline = options.now + (options.handshakeMs ?? 30_000)
    this.#handshake = new Handshake(options)
    this.#openLink = new OpenLink(options)
    this.#repeatAt = options.role === 'opener' ? options.now : null
  }

  get state(): LinkState {
    return this.#state
  }

  /** Where packets are sent. Received packets are checked by their keys, not by their source. */
  get remote(): Endpoint {
    return this.#openLink.pathManager.remote
  }

  /** The socket or connection of the present path. */
  get via(): Via {
    return this.#openLink.pathManager.via
  }

  get isDisturbed(): boolean {
    return this.#state === 'open' && this.#openLink.isDisturbed
  }

  get pings(): PingCounts {
    return this.#openLink.pings
  }

  /** The largest datagram that fits in one packet now, in bytes. */
  get singlePacketBytes(): number {
    return this.#openLink.singlePacketBytes
  }

  /** The caller found a better path: the link moves there and pings at once. */
  setRemote(now: number, remote: Endpoint, via: Via = 0, rank = 0): LinkAction[] {
    if (this.#state === 'closed' || !this.#openLink.move(now, remote, via, rank)) return []
    return this.#state === 'open' ? this.#openLink.ping(now) : []
  }

  /** Other endpoints of the peer; at most 16 count. Better ones are challenged; all of them while disturbed. */
  setCandidatePaths(now: number, paths: readonly CandidatePath[]): LinkAction[] {
    if (this.#state === 'closed') return []
    this.#openLink.pathManager.setCandidatePaths(now, paths)
    return this.#advancePaths(now)
  }

  /** Announces our candidates to the peer, and challenges better paths. */
  announceCandidates(now: number, candidates: readonly Candidate[]): LinkAction[] {
    if (this.#state !== 'open') return []
    this.#openLink.pathManager.announce(now, candidates)
    return this.#advancePaths(now)
  }

  /** Our network may have changed, or we have slept: pings at once and challenges every path. */
  recheck(now: number): LinkAction[] {
    if (this.#state !== 'open') return []
    this.#openLink.pathManager.challengeAll(now)
    return [...this.#openLink.ping(now), ...this.#advancePaths(now)]
  }

  /** Applies from now on; see `keepaliveMs` of the options. */
  setKeepalive(ms: number): void {
    this.#openLink.keepaliveMs = ms
  }

  /** `'too-big'` above `maxDatagramBytes`. Not repeated when lost; delivered at most once. */
  sendDatagram(now: number, bytes: Uint8Array): LinkAction[] | 'not-open' | 'too-big' {
    if (this.#state !== 'open') return 'not-open'
    if (bytes.length > maxDatagramBytes) return 'too-big'
    const actions = this.#openLink.sendDatagram(now, bytes)
    return this.#openLink.isExhausted ? [...actions, ...this.close(now)] : actions
  }

  /** Sends a close and waits for its acknowledgement, at most a second. */
  close(now: number): LinkAction[] {
    if (this.#state === 'handshake') return [this.#end('closed')]
    if (this.#state !== 'open') return []
    this.#state = 'closing'
    return this.#sendClose(now)
  }

  /** Takes any datagram from anywhere. Ignores what is not an authentic packet of this link. */
  handleDatagram(
    now: number,
    bytes: Uint8Array,
    from: Endpoint = this.remote,
    via: Via = this.via,
  ): LinkAction[] {
    if (this.#state === 'closed') return []
    if (bytes[0] === dataByte) return this.#handleData(now, bytes, from, via)
    return bytes[0] === handshakeByte ? this.#handleHandshake(now, bytes) : []
  }

  /** When to call `handleTimeout`; null once closed. */
  nextTimeout(): number | null {
    switch (this.#state) {
      case 'handshake':
        return Math.min(this.#handshakeDeadline, this.#repeatAt ?? Infinity)
      case 'open':
        return Math.min(this.#openLink.lostAt(), this.#openLink.dueAt(), this.#repeatAt ?? Infinity)
      case 'closing':
        return this.#repeatAt
      case 'closed':
        return null
    }
  }

  /** May be called early or late. */
  handleTimeout(now: number): LinkAction[] {
    switch (this.#state) {
      case 'handshake':
        return now >= this.#handshakeDeadline ? [this.#end('no-handshake')] : this.#repeatHandshake(now)
      case 'open': {
        const pings = this.#openLink.advancePings(now)
        if (now >= this.#openLink.lostAt()) return [this.#end('lost')]
        return [
          ...this.#repeatHandshake(now),
          ...pings,
          ...this.#advancePaths(now),
          ...this.#openLink.advanceMtuDiscovery(now),
        ]
      }
      case 'closing':
        if (this.#repeatAt !== null && now < this.#repeatAt) return []
        return this.#closes < maxCloses ? this.#sendClose(now) : [this.#end('closed')]
      case 'closed':
        return []
    }
  }

  #handleHandshake(now: number, bytes: Uint8Array): LinkAction[] {
    if (this.#state === 'closing') return []
    const step = this.#handshake.handlePacket(bytes)
    switch (step.step) {
      case 'ignored':
        return []
      case 'answer':
        return [this.#openLink.sendPacket(step.bytes)]
      case 'acknowledged-again':
        return this.#openLink.ping(now)
      case 'agreed': {
        this.#openLink.begin(now, step.keys)
        this.#state = 'open'
        const opened: LinkAction = { type: 'event', event: { type: 'open' } }
        if (this.#role === 'responder') return [...this.#openLink.ping(now), opened]
        this.#repeatAt = now
        this.#repeatMs = firstRepeatMs
        return [...this.#repeatHandshake(now), opened]
      }
    }
  }

  #handleData(now: number, bytes: Uint8Array, from: Endpoint, via: Via): LinkAction[] {
    const frame = this.#openLink.open(bytes)
    if (!frame) return []
    const hasRecovered = this.#openLink.noteReceived(now)
    if (this.#state === 'closing') {
      if (frame.kind === frameKinds.closeAcknowledgement) return [this.#end('closed')]
      return frame.kind === frameKinds.close ? this.#acknowledgeClose('closed') : []
    }
    const actions = this.#repeatAt === null ? [] : this.#handleFirstData(now)
    if (frame.kind === frameKinds.close) return [...actions, ...this.#acknowledgeClose('closed-by-peer')]
    this.#openLink.handleFrame(now, frame, from, via, actions)
    if (hasRecovered) {
      this.#openLink.pathManager.endDisturbance()
      actions.push({ type: 'event', event: { type: 'recovered' } })
    }
    if (now >= this.#openLink.pathManager.dueAt()) actions.push(...this.#advancePaths(now))
    return actions
  }

  /** The responder's first data shows the opener that its acknowledgement arrived. */
  #handleFirstData(now: number): LinkAction[] {
    this.#repeatAt = null
    return this.#openLink.ping(now)
  }

  #acknowledgeClose(reason: CloseReason): LinkAction[] {
    const actions = this.#openLink.sendFrame({ kind: frameKinds.closeAcknowledgement, body: noBody })
    return [...actions, this.#end(reason)]
  }

  #repeatHandshake(now: number): LinkAction[] {
    if (this.#repeatAt === null || now < this.#repeatAt) return []
    this.#repeatAt = now + this.#repeatMs
    this.#repeatMs = Math.min(this.#repeatMs * 1.5, maxRepeatMs)
    const bytes = this.#handshake.next()
    return bytes === null ? [] : [this.#openLink.sendPacket(bytes)]
  }

  #sendClose(now: number): LinkAction[] {
    this.#closes++
    this.#repeatAt = now + closeRepeatMs
    return this.#openLink.sendFrame({ kind: frameKinds.close, body: noBody })
  }

  #advancePaths(now: number): LinkAction[] {
    return this.#state === 'open' ? this.#openLink.advancePaths(now) : []
  }

  #end(reason: CloseReason): LinkAction {
    this.#state = 'closed'
    this.#handshake.wipe()
    this.#openLink.end()
    return { type: 'event', event: { type: 'closed', reason } }
  }
}
