// The link of a meeting: its machine, what drives it, and how good it is.

import type { Candidate, Endpoint } from '../../base/endpoint.ts'
import type { Via } from '../../base/protocol-machine.ts'
import type { CandidatePath } from '../../link/candidate-paths.ts'
import type { Link } from '../../link/link.ts'
import type { LinkEvent } from '../../link/link-types.ts'
import { type Driver, drive } from '../../net/machine-driver.ts'
import type { Path } from '../../punch/connectivity-checks.ts'
import { keepaliveOf, makeLink } from './create-machines.ts'
import { LinkQuality, type QualityReport } from './link-quality.ts'
import type { PeerConnectionOptions } from './peer-connection-types.ts'
import { rankOfPath } from './peer-paths.ts'

export type LinkDriverOptions = {
  readonly peerConnection: PeerConnectionOptions
  readonly path: Path
  readonly send: (bytes: Uint8Array, to: Endpoint, via: Via) => void
  readonly onEvent: (event: LinkEvent) => void
}

export class LinkDriver {
  readonly #options: LinkDriverOptions
  readonly #machine: Link
  readonly #driver: Driver<LinkEvent>
  readonly #quality = new LinkQuality()

  /** Starts at once. */
  constructor(options: LinkDriverOptions) {
    const { peerConnection, path, send } = options
    this.#options = options
    this.#machine = makeLink(peerConnection, path)
    this.#driver = drive({
      machine: this.#machine,
      clock: peerConnection.clock,
      send,
      onEvent: (event) => this.#handle(event),
    })
  }

  get via(): Via {
    return this.#machine.via
  }

  get isDisturbed(): boolean {
    return this.#machine.isDisturbed
  }

  get wholeBytes(): number {
    return this.#machine.wholeBytes
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

  setWays(ways: readonly CandidatePath[]): void {
    this.#driver.run((now) => this.#machine.setWays(now, ways))
  }

  tellCandidates(candidates: readonly Candidate[]): void {
    this.#driver.run((now) => this.#machine.tellCandidates(now, candidates))
  }

  close(): void {
    this.#driver.run((now) => this.#machine.close(now))
  }

  /** Without a goodbye, and without an event. */
  stop(): void {
    this.#driver.stop()
  }

  #handle(event: LinkEvent): void {
    const { peerConnection, onEvent } = this.#options
    if (event.type === 'datagram') this.#quality.noteReceived(event.bytes.length)
    else if (event.type === 'round-trip') {
      this.#quality.noteRoundTrip(peerConnection.clock.now(), event.ms)
      // What is learned of the NAT may come later than the link.
      this.#machine.setKeepalive(keepaliveOf(peerConnection))
    }
    onEvent(event)
  }
}
