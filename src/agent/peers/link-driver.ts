// The link with one peer: the link machine, its driver and its quality.

import type { Clock } from '../../base/clock.ts'
import type { Crypto, KeyPair } from '../../base/crypto.ts'
import type { Candidate, Endpoint } from '../../base/endpoint.ts'
import type { NatProfile } from '../../base/nat-profile.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { OfferedPeer } from '../../letter/letter-types.ts'
import type { CandidatePath } from '../../link/candidate-paths.ts'
import { createLink, type Link } from '../../link/link.ts'
import type { LinkEvent } from '../../link/link-events.ts'
import { type Driver, drive } from '../../net/protocol-machine-driver.ts'
import type { Path } from '../../punch/connectivity-checks.ts'
import { LinkQuality, type QualityReport } from './link-quality.ts'
import type { PairKeys } from './pair-keys.ts'
import { linkKeepaliveMs, rankOfPath } from './peer-paths.ts'

type LinkDriverOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly identity: KeyPair
  readonly sessionKey: Uint8Array
  readonly peer: Pick<OfferedPeer, 'id' | 'session' | 'nat'>
  readonly keys: PairKeys
  readonly network: { readonly nat: NatProfile }
  /** The longest interval between pings. It is shorter when a NAT mapping is known to expire sooner. */
  readonly keepaliveMs?: number
  readonly path: Path
  readonly send: (bytes: Uint8Array, to: Endpoint, via: Via) => void
  readonly onEvent: (event: LinkEvent) => void
}

export class LinkDriver {
  readonly #options: LinkDriverOptions
  readonly #machine: Link
  readonly #driver: Driver<LinkEvent>
  readonly #quality = new LinkQuality()

  /** Starts the link at once. */
  constructor(options: LinkDriverOptions) {
    const { clock, crypto, identity, sessionKey, peer, keys, path, send, onEvent } = options
    this.#options = options
    this.#machine = createLink({
      crypto,
      role: keys.role,
      tag: keys.tag,
      keys: keys.link,
      identity,
      peerId: peer.id,
      sessionKeys: { mine: sessionKey, theirs: peer.session.publicKey },
      remote: path.remote,
      via: path.via,
      rank: rankOfPath(path),
      keepaliveMs: this.#keepaliveMs,
      now: clock.now(),
    })
    this.#driver = drive({ machine: this.#machine, clock, send, onEvent })
  }

  get via(): Via {
    return this.#machine.via
  }

  get isDisturbed(): boolean {
    return this.#machine.isDisturbed
  }

  get maxUnfragmentedBytes(): number {
    return this.#machine.singlePacketBytes
  }

  get quality(): QualityReport {
    return this.#quality.report(this.#machine.pings)
  }

  receive(bytes: Uint8Array, from: Endpoint, via: Via): void {
    this.#driver.receive(bytes, from, via)
  }

  send(bytes: Uint8Array): void {
    this.#driver.run((now) => {
      const actions = this.#machine.sendDatagram(now, bytes)
      if (typeof actions === 'string') return []
      this.#quality.noteSent(bytes.length)
      return actions
    })
  }

  recheck(): void {
    this.#driver.run((now) => this.#machine.recheck(now))
  }

  moveTo(path: Path): void {
    this.#driver.run((now) => this.#machine.setRemote(now, path.remote, path.via, rankOfPath(path)))
  }

  setCandidatePaths(paths: readonly CandidatePath[]): void {
    this.#driver.run((now) => this.#machine.setCandidatePaths(now, paths))
  }

  announceCandidates(candidates: readonly Candidate[]): void {
    this.#driver.run((now) => this.#machine.announceCandidates(now, candidates))
  }

  close(): void {
    this.#driver.run((now) => this.#machine.close(now))
  }

  /** Ends the link without a goodbye and without an event. */
  stop(): void {
    this.#driver.stop()
  }

  noteReceived(bytes: number): void {
    this.#quality.noteReceived(bytes)
  }

  noteRoundTrip(ms: number): void {
    this.#quality.noteRoundTrip(this.#options.clock.now(), ms)
    // The mapping lifetime of a NAT may become known only after the link has started.
    this.#machine.setKeepalive(this.#keepaliveMs)
  }

  /** From what is known about both NATs now. */
  get #keepaliveMs(): number {
    const { network, peer, keepaliveMs = Infinity } = this.#options
    return linkKeepaliveMs([network.nat, peer.nat], keepaliveMs)
  }
}
