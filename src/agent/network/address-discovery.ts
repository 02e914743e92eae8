// Finds the public endpoints of our main sockets: one prober per address family, because each NAT mapping needs its own
// keepalives, and one view of both families.

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
  /** Set by the user (D9). It overrides what the probes find. */
  readonly known?: Partial<NatProfile>
  readonly sockets: (
    onDatagram: SocketSetOptions['onDatagram'],
    onFailure: SocketSetOptions['onFailure'],
  ) => SocketSet
  /** Called with the first view and with every later one that differs. */
  readonly onView: (view: NatView, first: boolean) => void
}

export type FamilyToProbe = {
  readonly family: Family
  /** STUN servers of this family. */
  readonly servers: readonly Endpoint[]
  readonly localEndpoints: readonly Endpoint[]
}

type FamilyProbe = { driver: Driver<unknown>; readonly sockets: SocketSet; view: NatView | null }

/** The first IPv4 view waits this long for that of IPv6, because a later one costs a second request. */
const ipv6GraceMs = 300
export const emptyView: NatView = { profile: unknownNat, publicEndpoints: [], observations: [] }

export class AddressDiscovery {
  readonly #options: AddressDiscoveryOptions
  readonly #probes = new Map<Family, FamilyProbe>()
  #families: readonly Family[] = []
  #isSettled = false
  #cancelIpv6Wait: (() => void) | null = null
  #onSettled: () => void = () => {}

  constructor(options: AddressDiscoveryOptions) {
    this.#options = options
  }

  /** Call it once. Resolves with the first view, after a few seconds at most, or when stopped. */
  async start(families: readonly FamilyToProbe[]): Promise<void> {
    await new Promise<void>((resolve) => {
      this.#onSettled = resolve
      this.#families = families.map(({ family }) => family)
      for (const options of families) this.#start(options)
      if (families.length === 0) resolve()
    })
  }

  /** Takes a packet that arrived on a main socket. */
  receive(bytes: Uint8Array, from: Endpoint): void {
    this.#probes.get(familyOf(from.address))?.driver.receive(bytes, from)
  }

  /** True once the first view is known. */
  get isSettled(): boolean {
    return this.#isSettled
  }

  /** The NAT profile is that of IPv4 if IPv4 was observed. IPv6 rarely has a NAT and must not hide a hard IPv4 NAT. */
  get view(): NatView {
    const view = this.#view
    return { ...view, profile: { ...view.profile, ...this.#options.known } }
  }

  get #view(): NatView {
    const ipv4 = this.#probes.get(4)?.view
    const ipv6 = this.#probes.get(6)?.view
    if (!ipv4 || !ipv6) return ipv4 ?? ipv6 ?? emptyView
    return {
      ...(ipv4.observations.length > 0 ? ipv4 : ipv6),
      publicEndpoints: [...ipv4.publicEndpoints, ...ipv6.publicEndpoints],
      observations: [...ipv4.observations, ...ipv6.observations],
    }
  }

  stop(): void {
    this.#cancelIpv6Wait?.()
    for (const { driver, sockets } of this.#probes.values()) {
      driver.stop()
      sockets.closeAll()
    }
    this.#probes.clear()
    this.#onSettled()
  }

  #start({ family, servers, localEndpoints }: FamilyToProbe): void {
    const { clock, crypto, keepaliveMs } = this.#options
    const sockets = this.#options.sockets(
      (bytes, from, via) => probe.driver.receive(bytes, from, via),
      (via) => probe.driver.socketFailed(via),
    )
    const probe: FamilyProbe = { driver: idleDriver, sockets, view: null }
    this.#probes.set(family, probe)
    probe.driver = drive({
      machine: createProber({ crypto, servers, localEndpoints, now: clock.now(), keepaliveMs }),
      clock,
      send: (bytes, to, via, ttl) => sockets.send(bytes, to, via, ttl),
      close: (via) => sockets.close(via),
      onEvent: (event) => {
        probe.view = event
        // Results of the background tests go with the next letter. They are not worth a letter of their own.
        if (event.type !== 'learned') this.#handleView()
      },
    })
  }

  #handleView(): void {
    if (this.#isSettled) {
      this.#options.onView(this.view, false)
      return
    }
    const pending = this.#families.filter((family) => !this.#probes.get(family)?.view)
    if (pending.length === 0) this.#settle()
    else if (!pending.includes(4)) {
      this.#cancelIpv6Wait ??= this.#options.clock.after(ipv6GraceMs, () => this.#settle())
    }
  }

  #settle(): void {
    this.#isSettled = true
    this.#cancelIpv6Wait?.()
    this.#options.onView(this.view, true)
    this.#onSettled()
  }
}

/** Used until the prober's own driver exists, since the prober may send while it starts. */
const idleDriver: Driver<unknown> = { run() {}, receive() {}, socketFailed() {}, stop() {} }
