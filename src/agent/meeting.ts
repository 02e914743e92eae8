// One meeting with one peer: punch until a path is proven, then a link on it. It ends as `failed` (never open)
// or `closed` (was open).
//
//     punching ──path──> shaking hands ──> open ──> closed
//         └──────────────────┴──> failed

import type { Clock } from '../base/clock.ts'
import type { Crypto, KeyPair } from '../base/crypto.ts'
import type { Endpoint } from '../base/endpoint.ts'
import type { OfferedPeer } from '../letter/kinds.ts'
import { createLink, type Link, type LinkEvent } from '../link/link.ts'
import { type Driver, drive } from '../net/drive.ts'
import type { Plan } from '../punch/plan.ts'
import { createPunch, type Path, type Punch, type PunchEvent } from '../punch/punch.ts'
import { type PairKeys, wipePairKeys } from './pair-keys.ts'

export type MeetingEvent =
  | { readonly type: 'open'; readonly path: Path; readonly packets: number; readonly sincePunchMs: number }
  | { readonly type: 'path'; readonly path: Path }
  | { readonly type: 'datagram'; readonly bytes: Uint8Array }
  | { readonly type: 'failed'; readonly reason: 'no-answer' | 'no-handshake' | 'stopped' }
  | { readonly type: 'closed'; readonly reason: string }

export type MeetingOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly sessionKey: Uint8Array
  readonly peer: OfferedPeer
  readonly keys: PairKeys
  readonly plan: Extract<Plan, { strategy: 'direct' }>
  readonly attemptMs: number
  readonly onLoopback: boolean
  readonly send: (bytes: Uint8Array, to: Endpoint) => void
  readonly onEvent: (event: MeetingEvent) => void
}

export class Meeting {
  readonly peer: OfferedPeer
  readonly #options: MeetingOptions
  readonly #startedAt: number
  readonly #punchMachine: Punch
  readonly #punch: Driver<PunchEvent>
  #linkMachine: Link | null = null
  #link: Driver<LinkEvent> | null = null
  #path: Path | null = null
  #packets = 0
  #isClosing = false
  #state: 'meeting' | 'open' | 'over' = 'meeting'

  constructor(options: MeetingOptions) {
    const { clock, crypto, keys, plan, peer, attemptMs, onLoopback } = options
    this.#options = options
    this.peer = peer
    this.#startedAt = clock.now()
    this.#punchMachine = createPunch({
      crypto,
      keys: { tag: keys.tag, ...keys.punch },
      targets: plan.targets,
      budget: plan.budget,
      sameNat: peer.sameNat,
      now: this.#startedAt,
      attemptMs,
      onLoopback,
    })
    this.#punch = drive({
      machine: this.#punchMachine,
      clock,
      send: options.send,
      onEvent: (event) => this.#handlePunch(event),
    })
  }

  /** And not about to close. */
  get isOpen(): boolean {
    return this.#state === 'open' && !this.#isClosing
  }

  /** No path yet, so the peer cannot have an open link with us here either. */
  get isPunching(): boolean {
    return this.#state === 'meeting' && this.#link === null
  }

  receiveCheck(bytes: Uint8Array, from: Endpoint): void {
    if (this.#state !== 'over') this.#punch.receive(bytes, from)
  }

  receiveLinkPacket(bytes: Uint8Array, from: Endpoint): void {
    this.#link?.receive(bytes, from)
  }

  /** Lost when the link is not open or the datagram too big: it is a datagram. */
  sendDatagram(bytes: Uint8Array): void {
    const link = this.#linkMachine
    if (!link) return
    this.#link?.run((now) => {
      const actions = link.sendDatagram(now, bytes)
      return typeof actions === 'string' ? [] : actions
    })
  }

  /** The end is told by an event: at once, or when the peer has acknowledged. */
  close(): void {
    this.#isClosing = true
    const link = this.#linkMachine
    if (link) this.#link?.run((now) => link.close(now))
    else this.#end({ type: 'failed', reason: 'stopped' })
  }

  /** Ends at once, without a goodbye and without an event. */
  abandon(): void {
    this.#finish()
  }

  #handlePunch(event: PunchEvent): void {
    switch (event.type) {
      case 'path':
        this.#packets = event.packets
        this.#path = event.path
        this.#shakeHands(event.path)
        return
      case 'better-path': {
        this.#path = event.path
        const link = this.#linkMachine
        if (link) this.#link?.run((now) => link.setRemote(now, event.path.remote))
        if (this.#state === 'open') this.#options.onEvent({ type: 'path', path: event.path })
        return
      }
      case 'failed':
        if (!this.#link) this.#end({ type: 'failed', reason: event.reason })
        return
      case 'done':
        return
    }
  }

  #shakeHands(path: Path): void {
    const { clock, crypto, keys, identity, sessionKey, peer } = this.#options
    const machine = createLink({
      crypto,
      role: keys.role,
      tag: keys.tag,
      keys: keys.link,
      identity,
      peerId: peer.id,
      sessionKeys: { mine: sessionKey, theirs: peer.session.publicKey },
      remote: path.remote,
      now: clock.now(),
    })
    this.#linkMachine = machine
    this.#link = drive({
      machine,
      clock,
      send: this.#options.send,
      onEvent: (event) => this.#handleLink(event),
    })
  }

  #handleLink(event: LinkEvent): void {
    switch (event.type) {
      case 'open':
        if (this.#state !== 'meeting' || !this.#path) return
        this.#state = 'open'
        this.#options.onEvent({
          type: 'open',
          path: this.#path,
          packets: this.#packets,
          sincePunchMs: this.#options.clock.now() - this.#startedAt,
        })
        return
      case 'datagram':
        this.#options.onEvent(event)
        return
      case 'round-trip':
        return
      case 'closed':
        if (this.#state === 'open') this.#end({ type: 'closed', reason: event.reason })
        else
          this.#end({ type: 'failed', reason: event.reason === 'no-handshake' ? 'no-handshake' : 'stopped' })
        return
    }
  }

  #end(event: MeetingEvent): void {
    if (this.#finish()) this.#options.onEvent(event)
  }

  /** False when it was over already. */
  #finish(): boolean {
    if (this.#state === 'over') return false
    this.#state = 'over'
    this.#punchMachine.stop()
    this.#punch.stop()
    this.#link?.stop()
    wipePairKeys(this.#options.crypto, this.#options.keys)
    return true
  }
}
