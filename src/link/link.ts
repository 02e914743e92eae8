// A link: the authenticated live channel on a punched path (mission A7, A10, C4). Handshake, then frames both
// ways, pings that keep the NAT mapping open and notice loss, then a close that is acknowledged.
//
//      handshake ──> open ──> closing ──> closed         every state can also go straight to closed
//
// A closed link does nothing, answers nothing and has wiped its keys.

import { type Endpoint, equalEndpoints, familyOf } from '../base/endpoint.ts'
import type { Action, CloseAction, Machine } from '../base/machine.ts'
import { Datagrams } from './datagrams.ts'
import { Handshake, type HandshakeOptions } from './handshake.ts'
import { dataByte, frameKinds, handshakeByte, maxDatagramBytes } from './packets.ts'
import { type PingCounts, Pings } from './pings.ts'
import { type Frame, Traffic } from './traffic.ts'

export type LinkOptions = HandshakeOptions & {
  readonly remote: Endpoint
  readonly now: number
  /** A ping goes out this often, whatever else does. Default 10,000. */
  readonly keepaliveMs?: number
  /** Silence after which the link is lost. Default 30,000; after half of it, pings go out faster. */
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
  #state: LinkState = 'handshake'
  #remote: Endpoint
  /** When the opener repeats its handshake packet, or a closing side its close. */
  #repeatAt: number | null
  #repeatMs = firstRepeatMs
  #closes = 0

  /** An opener sends its first packet at the first `handleTimeout`, which is due at once. */
  constructor(options: LinkOptions) {
    this.#options = options
    this.#pings = new Pings(options.now, options.keepaliveMs ?? 10_000, options.lossMs ?? 30_000)
    this.#datagrams = new Datagrams(options.now, familyOf(options.remote.address))
    this.#handshakeDeadline = options.now + (options.handshakeMs ?? 30_000)
    this.#handshake = new Handshake(options)
    this.#remote = options.remote
    this.#repeatAt = options.role === 'opener' ? options.now : null
  }

  get state(): LinkState {
    return this.#state
  }

  /** Where everything is sent; what arrives is judged by its keys, not by its source. */
  get remote(): Endpoint {
    return this.#remote
  }

  get pings(): PingCounts {
    return this.#pings.counts
  }

  /** The largest datagram that travels in one packet now. */
  get wholeBytes(): number {
    return this.#datagrams.wholeBytes
  }

  /** A better path was found: everything goes there from now on, first a ping. */
  setRemote(now: number, remote: Endpoint): LinkAction[] {
    if (this.#state === 'closed' || equalEndpoints(remote, this.#remote)) return []
    this.#remote = remote
    this.#datagrams.restart(now, familyOf(remote.address))
    return this.#state === 'open' ? this.#ping(now) : []
  }

  /** `'too-big'` above `maxDatagramBytes`. Not repeated when lost, delivered at most once. */
  sendDatagram(now: number, bytes: Uint8Array): LinkAction[] | 'not-open' | 'too-big' {
    const traffic = this.#traffic
    if (this.#state !== 'open' || traffic === null) return 'not-open'
    if (bytes.length > maxDatagramBytes) return 'too-big'
    const actions = this.#datagrams.frames(bytes).map((frame) => this.#sendFrame(traffic, frame))
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
  handleDatagram(now: number, bytes: Uint8Array): LinkAction[] {
    if (this.#state === 'closed') return []
    if (bytes[0] === dataByte) return this.#handleData(now, bytes)
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
        if (now >= this.#pings.lostAt()) return [this.#end('lost')]
        const actions = this.#repeatHandshake(now)
        if (now >= this.#pings.dueAt()) actions.push(...this.#ping(now))
        actions.push(...this.#probe(now))
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

  #handleData(now: number, bytes: Uint8Array): LinkAction[] {
    const traffic = this.#traffic
    const frame = traffic?.open(bytes)
    if (!traffic || !frame) return []
    this.#pings.hear(now)
    this.#datagrams.hear(now)
    if (this.#state === 'closing') {
      if (frame.kind === frameKinds.closeAcknowledgement) return [this.#end('closed')]
      return frame.kind === frameKinds.close ? this.#acknowledgeClose(traffic, 'closed') : []
    }
    const actions = this.#hearResponder(now)
    switch (frame.kind) {
      case frameKinds.datagram:
        actions.push({ type: 'event', event: { type: 'datagram', bytes: frame.body } })
        break
      case frameKinds.part: {
        const whole = this.#datagrams.takePart(now, frame.body)
        if (whole) actions.push({ type: 'event', event: { type: 'datagram', bytes: whole } })
        break
      }
      case frameKinds.probe:
        if (frame.body.length >= 4)
          actions.push(this.#send(traffic.seal(frameKinds.probeAnswer, frame.body.subarray(0, 4))))
        break
      case frameKinds.probeAnswer:
        this.#datagrams.probeAnswered(now, frame.body)
        break
      case frameKinds.ping:
        if (frame.body.length === 4) actions.push(this.#send(traffic.seal(frameKinds.pong, frame.body)))
        break
      case frameKinds.pong:
        actions.push(...this.#handlePong(now, frame.body))
        break
      case frameKinds.close:
        actions.push(...this.#acknowledgeClose(traffic, 'closed-by-peer'))
        break
    }
    return actions
  }

  /** The responder's first data tells the opener that its acknowledgement arrived. */
  #hearResponder(now: number): LinkAction[] {
    if (this.#repeatAt === null) return []
    this.#repeatAt = null
    return this.#ping(now)
  }

  #handlePong(now: number, body: Uint8Array): LinkAction[] {
    const ms = this.#pings.roundTripMs(now, body)
    if (ms === null) return []
    this.#datagrams.noteRoundTrip(ms)
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

  #sendFrame(traffic: Traffic, { kind, body }: Frame): LinkAction {
    return this.#send(traffic.seal(kind, body))
  }

  #send(bytes: Uint8Array): LinkAction {
    return { type: 'send', to: this.#remote, bytes }
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
