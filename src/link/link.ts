// A link: the authenticated live channel on a punched path (mission A7, A10, C4). Handshake, then frames both
// ways, pings that keep the NAT mapping open and notice silence, another path when the present one falls silent or the
// peer moves, then a close that is acknowledged.
//
//      handshake ──> open ──> closing ──> closed         every state can also go straight to closed
//
// A closed link does nothing, answers nothing and has wiped its keys.

import { type Candidate, type Endpoint, familyOf } from '../base/endpoint.ts'
import type { Action, CloseAction, Machine, Via } from '../base/machine.ts'
import { Datagrams } from './datagrams.ts'
import { Handshake, type HandshakeOptions } from './handshake.ts'
import { dataByte, frameKinds, handshakeByte, maxDatagramBytes } from './packets.ts'
import type { Way } from './paths.ts'
import { type PingCounts, Pings } from './pings.ts'
import { type Frame, Traffic } from './traffic.ts'
import { type Outcome, Whereabouts } from './whereabouts.ts'

export type LinkOptions = HandshakeOptions & {
  readonly remote: Endpoint
  /** The socket that the path leads from; the main one if left out. */
  readonly via?: Via
  /** How good the path is; only ways of a higher rank (`setWays`) replace it while it works. Default 0. */
  readonly rank?: number
  readonly now: number
  /** A ping goes out this often, whatever else does. Default 8,000. */
  readonly keepaliveMs?: number
  /** Silence after which the link is lost, with no way back found. Default 30,000. */
  readonly lossMs?: number
  /** How long the handshake may take. Default 30,000. */
  readonly handshakeMs?: number
  /** Above 0 only in tests of the counter's end. */
  readonly firstCounter?: number
}

export type CloseReason = 'closed' | 'closed-by-peer' | 'lost' | 'no-handshake'

export type LinkEvent =
  | { readonly type: 'open' }
  /** `bytes` belong to whoever takes the event. */
  | { readonly type: 'datagram'; readonly bytes: Uint8Array }
  | { readonly type: 'round-trip'; readonly ms: number }
  /** The peer is silent though asked; the link looks for another way. */
  | { readonly type: 'disturbed' }
  /** It is heard again. */
  | { readonly type: 'recovered' }
  /** Everything goes another way from now on, which has been proven. */
  | { readonly type: 'moved'; readonly remote: Endpoint; readonly via: Via }
  /** Where the peer may be reached from now on: at most 16, which nobody has looked at. */
  | { readonly type: 'candidates'; readonly candidates: readonly Candidate[] }
  /** Always the last. */
  | { readonly type: 'closed'; readonly reason: CloseReason }

export type LinkAction = Exclude<Action<LinkEvent>, CloseAction>

export type LinkState = 'handshake' | 'open' | 'closing' | 'closed'

/** The handshake is repeated after 200 ms, then half as long again each time, up to a second. */
const firstRepeatMs = 200
const maxRepeatMs = 1000
const closeRepeatMs = 250
const maxCloses = 4
/** Counters kept back for the parts of a datagram, pings and closing when a link has used all others. */
const reservedCounters = 256
const nothing = new Uint8Array(0)

export function createLink(options: LinkOptions): Link {
  return new Link(options)
}

export class Link implements Machine<LinkEvent> {
  readonly #options: LinkOptions
  readonly #handshake: Handshake
  readonly #handshakeDeadline: number
  /** Null before the link is open and after its end. */
  #traffic: Traffic | null = null
  readonly #datagrams: Datagrams
  readonly #pings: Pings
  readonly #whereabouts: Whereabouts
  #state: LinkState = 'handshake'
  /** When the opener repeats its handshake packet, or a closing side its close. */
  #repeatAt: number | null
  #repeatMs = firstRepeatMs
  #closes = 0

  /** An opener sends its first packet at the first `handleTimeout`, which is due at once. */
  constructor(options: LinkOptions) {
    this.#options = options
    this.#pings = new Pings(options.now, options.keepaliveMs ?? 8_000, options.lossMs ?? 30_000)
    this.#datagrams = new Datagrams(options.now, familyOf(options.remote.address))
    this.#handshakeDeadline = options.now + (options.handshakeMs ?? 30_000)
    this.#handshake = new Handshake(options)
    this.#whereabouts = new Whereabouts({
      remote: options.remote,
      via: options.via ?? 0,
      rank: options.rank ?? 0,
      now: options.now,
      randomBytes: options.crypto.randomBytes,
    })
    this.#repeatAt = options.role === 'opener' ? options.now : null
  }

  get state(): LinkState {
    return this.#state
  }

  /** Where everything is sent; what arrives is judged by its keys, not by its source. */
  get remote(): Endpoint {
    return this.#whereabouts.remote
  }

  get isDisturbed(): boolean {
    return this.#state === 'open' && this.#pings.isDisturbed
  }

  get pings(): PingCounts {
    return this.#pings.counts
  }

  /** The largest datagram that travels in one packet now. */
  get wholeBytes(): number {
    return this.#datagrams.wholeBytes
  }

  /** A better path was found: everything goes there from now on, first a ping. */
  setRemote(now: number, remote: Endpoint, via: Via = 0, rank = 0): LinkAction[] {
    if (this.#state === 'closed' || !this.#whereabouts.move(remote, via, rank)) return []
    this.#datagrams.restart(now, familyOf(remote.address))
    return this.#state === 'open' ? this.#ping(now) : []
  }

  /** Where else the peer may be: at most 16 count. Better ones are looked at, all of them when the link is disturbed. */
  setWays(now: number, ways: readonly Way[]): LinkAction[] {
    if (this.#state === 'closed') return []
    this.#whereabouts.setWays(now, ways)
    return this.#turn(now)
  }

  /** Tells the peer where we may be reached from now on, and looks whether a better way has come up. */
  tellCandidates(now: number, candidates: readonly Candidate[]): LinkAction[] {
    if (this.#state !== 'open') return []
    this.#whereabouts.tell(now, candidates)
    return this.#turn(now)
  }

  /** Our network may have changed, or we have slept: asks at once, and everywhere. */
  recheck(now: number): LinkAction[] {
    if (this.#state !== 'open') return []
    this.#whereabouts.sweep(now)
    return [...this.#ping(now), ...this.#turn(now)]
  }

  /** From now on; see `keepaliveMs` of the options. */
  setKeepalive(ms: number): void {
    this.#pings.keepaliveMs = ms
  }

  /** `'too-big'` above `maxDatagramBytes`. Not repeated when lost, delivered at most once. */
  sendDatagram(now: number, bytes: Uint8Array): LinkAction[] | 'not-open' | 'too-big' {
    const traffic = this.#traffic
    if (this.#state !== 'open' || traffic === null) return 'not-open'
    if (bytes.length > maxDatagramBytes) return 'too-big'
    this.#pings.noteTraffic(now)
    const actions: LinkAction[] = []
    for (const frame of this.#datagrams.frames(bytes)) actions.push(this.#sendFrame(traffic, frame))
    return traffic.remaining > reservedCounters ? actions : [...actions, ...this.close(now)]
  }

  /** Tells the other and waits for its acknowledgement, at most a second. */
  close(now: number): LinkAction[] {
    if (this.#state === 'handshake') return [this.#end('closed')]
    if (this.#state !== 'open') return []
    this.#state = 'closing'
    return this.#sendClose(now)
  }

  /** Whatever arrives from anywhere; what is not a link's packet of this pair is ignored without an answer. */
  handleDatagram(
    now: number,
    bytes: Uint8Array,
    from: Endpoint = this.#whereabouts.remote,
    via: Via = this.#whereabouts.via,
  ): LinkAction[] {
    if (this.#state === 'closed') return []
    if (bytes[0] === dataByte) return this.#handleData(now, bytes, from, via)
    return bytes[0] === handshakeByte ? this.#handleHandshake(now, bytes) : []
  }

  /** Null once closed. */
  nextTimeout(): number | null {
    switch (this.#state) {
      case 'handshake':
        return Math.min(this.#handshakeDeadline, this.#repeatAt ?? Infinity)
      case 'open':
        return Math.min(
          this.#pings.lostAt(),
          this.#pings.dueAt(),
          this.#datagrams.dueAt(),
          this.#whereabouts.dueAt(),
          this.#repeatAt ?? Infinity,
        )
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
        const due = this.#pings.turn(now)
        if (now >= this.#pings.lostAt()) return [this.#end('lost')]
        const actions = this.#repeatHandshake(now)
        if (due.disturbed) {
          this.#whereabouts.disturb(now)
          actions.push({ type: 'event', event: { type: 'disturbed' } })
        }
        if (due.ping) actions.push(...this.#ping(now))
        actions.push(...this.#turn(now), ...this.#probe(now))
        return actions
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
        return [this.#send(step.bytes)]
      case 'acknowledged-again':
        return this.#ping(now)
      case 'agreed': {
        const { crypto, tag, role, firstCounter } = this.#options
        this.#traffic = new Traffic(crypto, tag, step.keys, firstCounter)
        this.#state = 'open'
        this.#pings.hear(now)
        const opened: LinkAction = { type: 'event', event: { type: 'open' } }
        if (role === 'responder') return [...this.#ping(now), opened]
        this.#repeatAt = now
        this.#repeatMs = firstRepeatMs
        return [...this.#repeatHandshake(now), opened]
      }
    }
  }

  #handleData(now: number, bytes: Uint8Array, from: Endpoint, via: Via): LinkAction[] {
    const traffic = this.#traffic
    const frame = traffic?.open(bytes)
    if (!traffic || !frame) return []
    const hasRecovered = this.#pings.hear(now)
    this.#datagrams.hear(now)
    if (this.#state === 'closing') {
      if (frame.kind === frameKinds.closeAcknowledgement) return [this.#end('closed')]
      return frame.kind === frameKinds.close ? this.#acknowledgeClose(traffic, 'closed') : []
    }
    const actions = this.#repeatAt === null ? [] : this.#hearResponder(now)
    this.#handleFrame(now, traffic, frame, actions)
    if (this.#state !== 'open') return actions
    if (frame.kind >= frameKinds.challenge)
      actions.push(...this.#follow(now, this.#whereabouts.handleFrame(now, frame, from, via)))
    if (frame.isNewest) this.#whereabouts.heardFrom(now, from, via)
    if (hasRecovered) {
      this.#whereabouts.settle()
      actions.push({ type: 'event', event: { type: 'recovered' } })
    }
    if (now >= this.#whereabouts.dueAt()) actions.push(...this.#turn(now))
    return actions
  }

  /** Those about other ways are not handled here. This runs for every datagram of the game. */
  #handleFrame(now: number, traffic: Traffic, { kind, body }: Frame, actions: LinkAction[]): void {
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
          actions.push(this.#send(traffic.seal(frameKinds.probeAnswer, body.subarray(0, 4))))
        return
      case frameKinds.probeAnswer:
        this.#datagrams.probeAnswered(now, body)
        return
      case frameKinds.ping:
        if (body.length === 4) actions.push(this.#send(traffic.seal(frameKinds.pong, body)))
        return
      case frameKinds.pong:
        actions.push(...this.#handlePong(now, body))
        return
      case frameKinds.close:
        actions.push(...this.#acknowledgeClose(traffic, 'closed-by-peer'))
        return
    }
  }

  /** The responder's first data tells the opener that its acknowledgement arrived. */
  #hearResponder(now: number): LinkAction[] {
    this.#repeatAt = null
    return this.#ping(now)
  }

  #handlePong(now: number, body: Uint8Array): LinkAction[] {
    const ms = this.#pings.roundTripMs(now, body)
    if (ms === null) return []
    this.#datagrams.noteRoundTrip(ms)
    this.#whereabouts.noteRoundTrip(ms)
    return [{ type: 'event', event: { type: 'round-trip', ms } }]
  }

  #acknowledgeClose(traffic: Traffic, reason: CloseReason): LinkAction[] {
    return [this.#send(traffic.seal(frameKinds.closeAcknowledgement, nothing)), this.#end(reason)]
  }

  #repeatHandshake(now: number): LinkAction[] {
    if (this.#repeatAt === null || now < this.#repeatAt) return []
    this.#repeatAt = now + this.#repeatMs
    this.#repeatMs = Math.min(this.#repeatMs * 1.5, maxRepeatMs)
    const bytes = this.#handshake.next()
    return bytes === null ? [] : [this.#send(bytes)]
  }

  #sendClose(now: number): LinkAction[] {
    this.#closes++
    this.#repeatAt = now + closeRepeatMs
    return this.#traffic ? [this.#send(this.#traffic.seal(frameKinds.close, nothing))] : []
  }

  #ping(now: number): LinkAction[] {
    return this.#traffic ? [this.#send(this.#traffic.seal(frameKinds.ping, this.#pings.next(now)))] : []
  }

  #probe(now: number): LinkAction[] {
    const probe = this.#traffic && this.#datagrams.probe(now)
    if (!this.#traffic || !probe) return []
    return [this.#sendFrame(this.#traffic, probe.frame), ...(probe.withPing ? this.#ping(now) : [])]
  }

  #turn(now: number): LinkAction[] {
    return this.#state === 'open' ? this.#follow(now, this.#whereabouts.turn(now)) : []
  }

  #follow(now: number, { frames, hasMoved, candidates }: Outcome): LinkAction[] {
    const traffic = this.#traffic
    const actions: LinkAction[] = []
    if (!traffic) return actions
    if (hasMoved) {
      const { remote, via } = this.#whereabouts
      this.#datagrams.restart(now, familyOf(remote.address))
      actions.push({ type: 'event', event: { type: 'moved', remote, via } }, ...this.#ping(now))
    }
    for (const frame of frames) {
      const bytes = traffic.seal(frame.kind, frame.body)
      actions.push(frame.to ? sending(bytes, frame.to, frame.via) : this.#send(bytes))
    }
    if (candidates) actions.push({ type: 'event', event: { type: 'candidates', candidates } })
    return actions
  }

  #sendFrame(traffic: Traffic, { kind, body }: Frame): LinkAction {
    return this.#send(traffic.seal(kind, body))
  }

  #send(bytes: Uint8Array): LinkAction {
    return sending(bytes, this.#whereabouts.remote, this.#whereabouts.via)
  }

  #end(reason: CloseReason): LinkAction {
    this.#state = 'closed'
    this.#handshake.wipe()
    this.#traffic?.wipe()
    this.#traffic = null
    this.#datagrams.clear()
    return { type: 'event', event: { type: 'closed', reason } }
  }
}

function sending(bytes: Uint8Array, to: Endpoint, via: Via): LinkAction {
  return via === 0 ? { type: 'send', to, bytes } : { type: 'send', to, bytes, via }
}
