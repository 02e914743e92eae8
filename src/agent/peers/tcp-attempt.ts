// TCP connections with one peer (A7). While there is no UDP path, we dial in rounds. We accept connections that the peer
// opens. Checks prove each connection, and unused ones are closed.

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
  /** Used for TCP only. */
  readonly keys: CheckKeys
  readonly tcp: Pick<TcpTransport, 'dial'>
  readonly sameNat: boolean
  /** A connection is proven in both directions. */
  readonly onPath: (path: Path, packets: number) => void
  /** A link packet arrived. */
  readonly onPacket: (bytes: Uint8Array, from: Endpoint, via: Via) => void
  /** A proven connection is closed. */
  readonly onConnectionClosed: (via: Via) => void
  /** The path that the link uses now, and whether the peer is silent on it. Null while there is no link. */
  readonly currentPath: () => { readonly via: Via; readonly isSilent: boolean } | null
}

/** Connections at once with one peer, proven or not. */
const maxConnections = 6
/** A connection that is not proven in this time is closed. */
const proofTimeoutMs = 5_000
const sweepMs = 5_000
/** For a connection that our link does not use. The peer may still use it. */
const idleTimeoutMs = 30_000

type OpenConnection = {
  readonly via: Via
  readonly connection: PacketConnection
  readonly check: TcpCheck
  readonly target: TcpTarget
  readonly since: number
  heardAt: number
}

export class TcpAttempt {
  readonly #options: TcpAttemptOptions
  readonly #connections = new Map<Via, OpenConnection>()
  /** By endpoint. At most one per target. */
  readonly #dialling = new Map<string, () => void>()
  #targets: readonly TcpTarget[] = []
  #round = 0
  #dialUntil = -Infinity
  #packets = 0
  #lastVia: Via = 0
  #cancelRound: () => void = () => {}
  #cancelSweep: (() => void) | null = null
  #stopped = false

  constructor(options: TcpAttemptOptions) {
    this.#options = options
  }

  /** Dials the targets in rounds for `forMs`. */
  begin(targets: readonly TcpTarget[], forMs: number): void {
    if (this.#stopped) return
    this.#targets = targets
    this.#dialUntil = this.#options.clock.now() + forMs
    this.#round = 0
    this.#dialAll()
  }

  /** Stops dialling. Connections stay open. */
  stopDialling(): void {
    this.#dialUntil = -Infinity
    this.#cancelRound()
    for (const cancel of this.#dialling.values()) cancel()
    this.#dialling.clear()
  }

  /** Takes a connection that came in. Returns false when it is not from the peer or there are too many connections. */
  accept(connection: PacketConnection, packet: Uint8Array): boolean {
    const candidate = { kind: 'peer-reflexive', endpoint: connection.remote } as const
    const target = { candidate, isSimultaneous: false, isLan: isLan(candidate, this.#options.sameNat) }
    const entry = this.#addConnection(connection, target)
    if (!entry) return false
    // We have sent nothing yet. Only a peer that has the keys gets an answer.
    const isPeer = this.#handlePacket(entry, packet)
    if (!isPeer) this.#connections.delete(entry.via)
    return isPeer
  }

  send(bytes: Uint8Array, via: Via): void {
    this.#connections.get(via)?.connection.send(bytes)
  }

  stop(): void {
    this.#stopped = true
    this.stopDialling()
    this.#cancelSweep?.()
    for (const { connection } of this.#connections.values()) connection.close()
    this.#connections.clear()
  }

  #dialAll(): void {
    const { clock } = this.#options
    this.#cancelRound()
    if (this.#stopped || clock.now() >= this.#dialUntil) {
      this.stopDialling()
      return
    }
    for (const target of this.#targets) this.#dial(target)
    this.#cancelRound = clock.after(roundDelayMs(this.#round++, clock.wallNow()), () => this.#dialAll())
  }

  /** Dials again in each round, because the system doubles the delay between its own retries. */
  #dial(target: TcpTarget): void {
    const { endpoint } = target.candidate
    const key = formatEndpoint(endpoint)
    this.#dialling.get(key)?.()
    if ([...this.#connections.values()].some(({ connection }) => formatEndpoint(connection.remote) === key))
      return
    this.#packets++
    const cancel = this.#options.tcp.dial(
      {
        to: endpoint,
        handlers: { onPacket: () => {}, onClose: () => {} },
        onOpen: (connection) => {
          this.#dialling.delete(key)
          const entry = this.#addConnection(connection, target)
          if (!entry) connection.close()
          else for (const bytes of entry.check.start()) connection.send(bytes)
        },
        onFailure: () => this.#dialling.delete(key),
      },
      target.isSimultaneous,
    )
    this.#dialling.set(key, cancel)
  }

  #addConnection(connection: PacketConnection, target: TcpTarget): OpenConnection | null {
    if (this.#stopped || this.#connections.size >= maxConnections) return null
    const { clock, crypto, keys } = this.#options
    const now = clock.now()
    const entry: OpenConnection = {
      via: --this.#lastVia,
      connection,
      check: new TcpCheck(crypto, keys, connection.remote),
      target,
      since: now,
      heardAt: now,
    }
    this.#connections.set(entry.via, entry)
    connection.handlers = {
      onPacket: (bytes) => {
        if (!this.#handlePacket(entry, bytes)) this.#close(entry)
      },
      onClose: () => this.#close(entry),
    }
    this.#scheduleSweep()
    return entry
  }

  /** Returns false when the packet is not from the peer. The link itself verifies link packets. */
  #handlePacket(entry: OpenConnection, bytes: Uint8Array): boolean {
    const { check, connection, target, via } = entry
    if (checkTag(bytes) === null) {
      if (!check.isProven) return false
      entry.heardAt = this.#options.clock.now()
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
      this.stopDialling()
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

  #close(entry: OpenConnection): void {
    entry.connection.close()
    if (this.#connections.delete(entry.via) && entry.check.isProven)
      this.#options.onConnectionClosed(entry.via)
  }

  #scheduleSweep(): void {
    this.#cancelSweep ??= this.#options.clock.after(sweepMs, () => {
      this.#cancelSweep = null
      const now = this.#options.clock.now()
      const current = this.#options.currentPath()
      for (const entry of [...this.#connections.values()]) {
        const isInUse = entry.via === current?.via
        const isUnproven = !entry.check.isProven && now - entry.since > proofTimeoutMs
        const isIdle =
          (!isInUse || current.isSilent) && now - entry.heardAt > idleTimeoutMs / (isInUse ? 3 : 1)
        if (isUnproven || isIdle) this.#close(entry)
      }
      if (this.#connections.size > 0 && !this.#stopped) this.#scheduleSweep()
    })
  }
}
