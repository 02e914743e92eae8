// TCP connections with one peer (A7): called for in rounds while there is no way by UDP, taken when the peer calls,
// proven by checks, and closed when nobody uses them.

import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import type { Endpoint } from '../../base/endpoint.ts'
import { formatEndpoint } from '../../base/endpoint.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { PacketConnection } from '../../net/tcp/packet-connection.ts'
import { type CheckKeys, checkTag } from '../../punch/check-packet.ts'
import { isLan } from '../../punch/check-targets.ts'
import type { Path } from '../../punch/connectivity-checks.ts'
import { TcpCheck } from '../../punch/tcp-check.ts'
import { roundDelayMs, type TcpTarget } from '../../punch/tcp-targets.ts'
import type { TcpTransport } from '../network/tcp-transport.ts'

export type TcpAttemptOptions = {
  readonly clock: Clock
  readonly crypto: Pick<Crypto, 'randomBytes' | 'encrypt' | 'decrypt'>
  /** For TCP alone. */
  readonly keys: CheckKeys
  readonly tcp: Pick<TcpTransport, 'dial'>
  readonly sameNat: boolean
  /** Proven in both directions. */
  readonly onPath: (path: Path, packets: number) => void
  /** Of the link. */
  readonly onPacket: (bytes: Uint8Array, from: Endpoint, via: Via) => void
  /** A connection that was proven is gone. */
  readonly onGone: (via: Via) => void
  /** The path that the link goes on, if it is one of ours, and whether the peer is heard on it. */
  readonly inUse: () => { readonly via: Via; readonly isSilent: boolean } | null
}

/** At once with one peer, proven or not. */
const maxConnections = 6
/** So long a connection may take to be proven. */
const provingMs = 5_000
const sweepMs = 5_000
/** Of a connection that the link does not go on; the peer may. */
const idleMs = 30_000

type Held = {
  readonly via: Via
  readonly connection: PacketConnection
  readonly check: TcpCheck
  readonly target: TcpTarget
  readonly since: number
  heardAt: number
}

export class TcpAttempt {
  readonly #options: TcpAttemptOptions
  readonly #held = new Map<Via, Held>()
  /** By endpoint; at most as many as there are targets. */
  readonly #dialling = new Map<string, () => void>()
  #targets: readonly TcpTarget[] = []
  #round = 0
  #until = -Infinity
  #packets = 0
  #lastVia: Via = 0
  #cancelRound: () => void = () => {}
  #cancelSweep: (() => void) | null = null
  #stopped = false

  constructor(options: TcpAttemptOptions) {
    this.#options = options
  }

  /** Calls the peer again and again, for so long. */
  begin(targets: readonly TcpTarget[], forMs: number): void {
    if (this.#stopped) return
    this.#targets = targets
    this.#until = this.#options.clock.now() + forMs
    this.#round = 0
    this.#call()
  }

  /** Calls nobody any more; connections stay. */
  cease(): void {
    this.#until = -Infinity
    this.#cancelRound()
    for (const giveUp of this.#dialling.values()) giveUp()
    this.#dialling.clear()
  }

  /** The peer calls. False when it is not the peer, or there are enough connections. */
  accept(connection: PacketConnection, packet: Uint8Array): boolean {
    const candidate = { kind: 'peer-reflexive', endpoint: connection.remote } as const
    const target = { candidate, isSimultaneous: false, isLan: isLan(candidate, this.#options.sameNat) }
    const held = this.#hold(connection, target)
    if (!held) return false
    // Nothing was said yet: only whoever has the keys is told anything.
    const isPeer = this.#take(held, packet)
    if (!isPeer) this.#held.delete(held.via)
    return isPeer
  }

  send(bytes: Uint8Array, via: Via): void {
    this.#held.get(via)?.connection.send(bytes)
  }

  stop(): void {
    this.#stopped = true
    this.cease()
    this.#cancelSweep?.()
    for (const { connection } of this.#held.values()) connection.close()
    this.#held.clear()
  }

  #call(): void {
    const { clock } = this.#options
    this.#cancelRound()
    if (this.#stopped || clock.now() >= this.#until) {
      this.cease()
      return
    }
    for (const target of this.#targets) this.#dial(target)
    this.#cancelRound = clock.after(roundDelayMs(this.#round++, clock.wallNow()), () => this.#call())
  }

  /** Anew in each round: the system waits ever longer between its own tries. */
  #dial(target: TcpTarget): void {
    const { endpoint } = target.candidate
    const key = formatEndpoint(endpoint)
    this.#dialling.get(key)?.()
    if ([...this.#held.values()].some(({ connection }) => formatEndpoint(connection.remote) === key)) return
    this.#packets++
    const giveUp = this.#options.tcp.dial(
      {
        to: endpoint,
        handlers: { onPacket: () => {}, onClose: () => {} },
        onOpen: (connection) => {
          this.#dialling.delete(key)
          const held = this.#hold(connection, target)
          if (!held) connection.close()
          else for (const bytes of held.check.start()) connection.send(bytes)
        },
        onFailure: () => this.#dialling.delete(key),
      },
      target.isSimultaneous,
    )
    this.#dialling.set(key, giveUp)
  }

  #hold(connection: PacketConnection, target: TcpTarget): Held | null {
    if (this.#stopped || this.#held.size >= maxConnections) return null
    const { clock, crypto, keys } = this.#options
    const now = clock.now()
    const held: Held = {
      via: --this.#lastVia,
      connection,
      check: new TcpCheck(crypto, keys, connection.remote),
      target,
      since: now,
      heardAt: now,
    }
    this.#held.set(held.via, held)
    connection.handlers = {
      onPacket: (bytes) => {
        if (!this.#take(held, bytes)) this.#close(held)
      },
      onClose: () => this.#close(held),
    }
    this.#sweepLater()
    return held
  }

  /** False when the peer did not send it. Packets of a link are judged by the link. */
  #take(held: Held, bytes: Uint8Array): boolean {
    const { check, connection, target, via } = held
    if (checkTag(bytes) === null) {
      if (!check.isProven) return false
      held.heardAt = this.#options.clock.now()
      this.#options.onPacket(bytes, connection.remote, via)
      return true
    }
    const result = check.handlePacket(bytes)
    if (!result) return false
    for (const answer of result.answers) {
      this.#packets++
      connection.send(answer)
    }
    if (result.provenEndpoint) {
      this.cease()
      const { candidate } = target
      const path: Path = {
        kind: target.isLan ? 'lan' : 'direct',
        remote: connection.remote,
        local: result.provenEndpoint,
        candidateKind: candidate.kind,
        via,
      }
      this.#options.onPath(path, this.#packets)
    }
    return true
  }

  #close(held: Held): void {
    held.connection.close()
    if (this.#held.delete(held.via) && held.check.isProven) this.#options.onGone(held.via)
  }

  #sweepLater(): void {
    this.#cancelSweep ??= this.#options.clock.after(sweepMs, () => {
      this.#cancelSweep = null
      const now = this.#options.clock.now()
      const present = this.#options.inUse()
      for (const held of [...this.#held.values()]) {
        const isInUse = held.via === present?.via
        const isUnproven = !held.check.isProven && now - held.since > provingMs
        const isIdle = (!isInUse || present.isSilent) && now - held.heardAt > idleMs / (isInUse ? 3 : 1)
        if (isUnproven || isIdle) this.#close(held)
      }
      if (this.#held.size > 0 && !this.#stopped) this.#sweepLater()
    })
  }
}
