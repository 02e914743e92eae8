// Keeps one port open at the router: requests it, renews the lease, requests it again when it was lost, and
// deletes the mapping at the end.
//
//     requesting ──granted──> held ──half the lease──> renewing ──granted──> held
//       │ no gateway granted it   failed: again at half of the rest │
//       └── wait, request again <────────────── lease over ─────────┘

import type { Clock } from '../../base/clock.ts'
import { type Endpoint, equalEndpoints } from '../../base/endpoint.ts'
import type { Gateway, Granted } from './gateway.ts'

export type PortMapping = {
  /** The router's outer endpoint; not public when it is behind another NAT. */
  readonly external: Endpoint
  readonly language: Gateway['language']
  readonly router: string
}

type MappingRenewalOptions = {
  readonly clock: Clock
  /** Port of the socket that must be reachable. */
  readonly port: number
  readonly leaseMs?: number
  /** The gateways to try, best first, until one grants the port. May throw. */
  readonly findGateways: (signal: AbortSignal) => AsyncIterable<Gateway>
  /** Null when the mapping was lost. */
  readonly onChange: (mapping: PortMapping | null) => void
}

/** RFC 6886 §3.3 recommends two hours. With one hour, the mapping of a killed agent disappears sooner. */
const defaultLeaseMs = 3_600_000
/** Time limit for all gateways together. */
const requestLimitMs = 10_000
const renewLimitMs = 5_000
const releaseLimitMs = 1_000
/** The user may turn UPnP on, or connect another router. */
const requestAgainMs = 10 * 60_000
const minRenewalMs = 1_000
/** A router may grant a mapping forever, and lose it in a restart. */
const maxLeaseMs = 24 * 3_600_000

type Held = { readonly gateway: Gateway; readonly granted: Granted; readonly expiresAt: number }

export class RenewedMapping {
  readonly #options: MappingRenewalOptions
  /** Resolves when the first request has ended, with or without a mapping. */
  readonly settled: Promise<void>
  #held: Held | null = null
  #work: Promise<void>
  /** Ends the search at once, and pending requests a second later, because one of them may still be granted. */
  readonly #closing = new AbortController()
  readonly #abort = new AbortController()
  #cancelTimer: () => void = () => {}
  #closed = false

  /** Starts requesting at once. */
  constructor(options: MappingRenewalOptions) {
    this.#options = options
    this.#work = this.#request()
    this.settled = this.#work
  }

  /** Deletes the mapping, within two seconds whatever the router does. `onChange` is not called any more. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelTimer()
    this.#closing.abort(new Error('closed'))
    // A pending request may still be granted and must then be deleted.
    const cancel = this.#options.clock.after(releaseLimitMs, () => this.#abort.abort(new Error('closed')))
    await this.#work
    cancel()
    const held = this.#held
    this.#held = null
    if (held) {
      await this.#within(releaseLimitMs, (signal) =>
        held.gateway.unmap(held.granted, this.#options.port, signal),
      ).catch(() => {})
    }
  }

  async #request(): Promise<void> {
    const { clock, port, leaseMs = defaultLeaseMs, findGateways } = this.#options
    const mappingRequest = { internalPort: port, externalPort: port, leaseMs }
    const found = await this.#within(requestLimitMs, async (signal) => {
      for await (const gateway of findGateways(AbortSignal.any([signal, this.#closing.signal]))) {
        if (this.#closed) return null
        const granted = await gateway.map(mappingRequest, signal).catch(() => null)
        if (granted) return { gateway, granted }
      }
      return null
    }).catch(() => null)
    if (found) this.#hold(found.gateway, found.granted)
    else if (!this.#closed)
      this.#cancelTimer = clock.after(requestAgainMs, () => this.#start(() => this.#request()))
  }

  #hold(gateway: Gateway, granted: Granted): void {
    const { clock, onChange } = this.#options
    const before = this.#held
    const lifetimeMs = Math.min(granted.lifetimeMs, maxLeaseMs)
    this.#held = { gateway, granted, expiresAt: clock.now() + lifetimeMs }
    if (this.#closed) return
    this.#renewIn(lifetimeMs / 2)
    if (before && equalEndpoints(before.granted.external, granted.external)) return
    onChange({ external: granted.external, language: gateway.language, router: gateway.router })
  }

  /** RFC 6887 §11.2.1. */
  #renewIn(delayMs: number): void {
    this.#cancelTimer = this.#options.clock.after(Math.max(minRenewalMs, delayMs), () =>
      this.#start(() => this.#renew()),
    )
  }

  async #renew(): Promise<void> {
    const held = this.#held
    if (!held) return
    const { clock, port, leaseMs = defaultLeaseMs, onChange } = this.#options
    const request = { internalPort: port, externalPort: held.granted.external.port, leaseMs }
    const granted = await this.#within(renewLimitMs, (signal) => held.gateway.map(request, signal)).catch(
      () => null,
    )
    if (granted) {
      this.#hold(held.gateway, granted)
      return
    }
    const leftMs = held.expiresAt - clock.now()
    if (this.#closed || leftMs > minRenewalMs) {
      if (!this.#closed) this.#renewIn(leftMs / 2)
      return
    }
    this.#held = null
    onChange(null)
    await this.#request()
  }

  #start(work: () => Promise<void>): void {
    this.#work = work()
  }

  /** Aborts `work` after this time of our clock. */
  async #within<Result>(limitMs: number, work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    const limit = new AbortController()
    const cancel = this.#options.clock.after(limitMs, () => limit.abort(new Error('too late')))
    const signal = AbortSignal.any([limit.signal, this.#abort.signal])
    try {
      return await new Promise<Result>((resolve, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason), { once: true })
        work(signal).then(resolve, reject)
      })
    } finally {
      cancel()
    }
  }
}
