// Where our main sockets can be reached: one prober a family, since each NAT has to be reminded of us by itself,
// and one view of both.

import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { type Endpoint, type Family, familyOf } from '../../base/endpoint.ts'
import { type NatProfile, unknownNat } from '../../base/nat-profile.ts'
import { createProber, type NatView } from '../../nat/nat-prober.ts'
import { type Driver, drive } from '../../net/protocol-machine-driver.ts'
import type { SocketSet, SocketSetOptions } from '../../net/udp/socket-set.ts'

type AddressDiscoveryOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  readonly keepaliveMs: number
  /** Entered by hand (D9): counts more than what is found out. */
  readonly known?: Partial<NatProfile>
  readonly sockets: (
    onDatagram: SocketSetOptions['onDatagram'],
    onFailure: SocketSetOptions['onFailure'],
  ) => SocketSet
  /** The first verdict, and every later one that differs. */
  readonly onView: (view: NatView, first: boolean) => void
}

export type Probed = {
  readonly family: Family
  /** All of this family. */
  readonly servers: readonly Endpoint[]
  readonly localEndpoints: readonly Endpoint[]
}

type Finding = { driver: Driver<unknown>; readonly sockets: SocketSet; view: NatView | null }

/** So long the first verdict on IPv4 waits for that on IPv6: what comes later costs a second request. */
const patienceMs = 300
export const emptyView: NatView = { profile: unknownNat, publicEndpoints: [], observations: [] }

export class AddressDiscovery {
  readonly #options: AddressDiscoveryOptions
  readonly #findings = new Map<Family, Finding>()
  #families: readonly Family[] = []
  #isSettled = false
  #cancelPatience: (() => void) | null = null
  #onSettled: () => void = () => {}

  constructor(options: AddressDiscoveryOptions) {
    this.#options = options
  }

  /** Resolves with the first verdict, a few seconds at most, or when stopped. Once only. */
  async start(families: readonly Probed[]): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onSettled = resolve
      this.#families = families.map(({ family }) => family)
      for (const probed of families) this.#start(probed)
      if (families.length === 0) resolve()
    })
  }

  /** What came by a main socket. */
  receive(bytes: Uint8Array, from: Endpoint): void {
    this.#findings.get(familyOf(from.address))?.driver.receive(bytes, from)
  }

  /** The first verdict is there. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /** The profile is IPv4's where IPv4 was observed: a hard NAT must not be hidden by a family that hardly knows NATs. */
  get view(): NatView {
    const view = this.#view
    return { ...view, profile: { ...view.profile, ...this.#options.known } }
  }

  get #view(): NatView {
    const four = this.#findings.get(4)?.view
    const six = this.#findings.get(6)?.view
    if (!four || !six) return four ?? six ?? emptyView
    return {
      ...(four.observations.length > 0 ? four : six),
      publicEndpoints: [...four.publicEndpoints, ...six.publicEndpoints],
      observations: [...four.observations, ...six.observations],
    }
  }

  stop(): void {
    this.#cancelPatience?.()
    for (const { driver, sockets } of this.#findings.values()) {
      driver.stop()
      sockets.closeAll()
    }
    this.#findings.clear()
    this.#onSettled()
  }

  #start({ family, servers, localEndpoints }: Probed): void {
    const { clock, crypto, keepaliveMs } = this.#options
    const sockets = this.#options.sockets(
      (bytes, from, via) => finding.driver.receive(bytes, from, via),
      (via) => finding.driver.socketFailed(via),
    )
    const finding: Finding = { driver: idleDriver, sockets, view: null }
    this.#findings.set(family, finding)
    finding.driver = drive({
      machine: createProber({ crypto, servers, localEndpoints, now: clock.now(), keepaliveMs }),
      clock,
      send: (bytes, to, via, ttl) => sockets.send(bytes, to, via, ttl),
      close: (via) => sockets.close(via),
      onEvent: (event) => {
        finding.view = event
        // What is learned in the background goes with the next letter; it is not worth one of its own.
        if (event.type !== 'learned') this.#viewed()
      },
    })
  }

  #viewed(): void {
    if (this.#isSettled) {
      this.#options.onView(this.view, false)
      return
    }
    const pending = this.#families.filter((family) => !this.#findings.get(family)?.view)
    if (pending.length === 0) this.#settle()
    else if (!pending.includes(4)) {
      this.#cancelPatience ??= this.#options.clock.after(patienceMs, () => this.#settle())
    }
  }

  #settle(): void {
    this.#isSettled = true
    this.#cancelPatience?.()
    this.#options.onView(this.view, true)
    this.#onSettled()
  }
}

/** Until the prober's own is there; it may speak while it is being started. */
const idleDriver: Driver<unknown> = { run() {}, receive() {}, socketFailed() {}, stop() {} }
