// Keeps one port open at the router: asks whoever can be asked, renews the lease, asks anew when it was lost, and
// takes the mapping back at the end.
//
//     asking ──granted──> held ──half the lease──> renewing ──granted──> held
//       │ nobody gave one          failed, again at half of what is left │
//       └── wait, ask again <──────────────── lease over ────────────────┘

import type { Clock } from '../../base/clock.ts'
import { type Endpoint, equalEndpoints } from '../../base/endpoint.ts'
import type { Gateway, Granted } from './gateway.ts'

export type PortMapping = {
  /** As the router sees itself from outside; not public when it is behind another NAT. */
  readonly external: Endpoint
  readonly language: Gateway['language']
  readonly router: string
}

type MappingRenewalOptions = {
  readonly clock: Clock
  /** Of the socket that is to be reached. */
  readonly port: number
  readonly leaseMs?: number
  /** Whom to ask, best first; asked until one grants. May throw. */
  readonly find: (signal: AbortSignal) => AsyncIterable<Gateway>
  /** Null: it was lost. */
  readonly onChange: (mapping: PortMapping | null) => void
}

/** RFC 6886 §3.3 proposes two hours; with one, what a killed agent leaves behind is gone sooner. */
const usualLeaseMs = 3_600_000
/** For all ways of asking together. */
const askLimitMs = 10_000
const renewLimitMs = 5_000
const releaseLimitMs = 1_000
/** Somebody may turn UPnP on, or plug another router in. */
const askAgainMs = 10 * 60_000
const leastRenewalMs = 1_000
/** A router may grant a mapping for ever, and forget it when it is restarted. */
const mostLeaseMs = 24 * 3_600_000

type Held = { readonly gateway: Gateway; readonly granted: Granted; readonly expiresAt: number }

export class RenewedMapping {
  readonly #options: MappingRenewalOptions
  /** The first asking is over, with or without a mapping. */
  readonly settled: Promise<void>
  #held: Held | null = null
  #work: Promise<void>
  /** Ends searching at once, and asking a second later: a mapping may come of it. */
  readonly #closing = new AbortController()
  readonly #abort = new AbortController()
  #cancelTimer: () => void = () => {}
  #closed = false

  /** Starts asking at once. */
  constructor(options: MappingRenewalOptions) {
    this.#options = options
    this.#work = this.#ask()
    this.settled = this.#work
  }

  /** Takes the mapping back; within two seconds, whatever the router does. Nothing is told any more. */
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    this.#cancelTimer()
    this.#closing.abort(new Error('closed'))
    // A request under way may be granted still: then it must be taken back.
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

  async #ask(): Promise<void> {
    const { clock, port, leaseMs = usualLeaseMs, find } = this.#options
    const request = { internalPort: port, externalPort: port, leaseMs }
    const found = await this.#within(askLimitMs, async (signal) => {
      for await (const gateway of find(AbortSignal.any([signal, this.#closing.signal]))) {
        if (this.#closed) return null
        const granted = await gateway.map(request, signal).catch(() => null)
        if (granted) return { gateway, granted }
      }
      return null
    }).catch(() => null)
    if (found) this.#hold(found.gateway, found.granted)
    else if (!this.#closed) this.#cancelTimer = clock.after(askAgainMs, () => this.#start(() => this.#ask()))
  }

  #hold(gateway: Gateway, granted: Granted): void {
    const { clock, onChange } = this.#options
    const before = this.#held
    const lifetimeMs = Math.min(granted.lifetimeMs, mostLeaseMs)
    this.#held = { gateway, granted, expiresAt: clock.now() + lifetimeMs }
    if (this.#closed) return
    this.#renewIn(lifetimeMs / 2)
    if (before && equalEndpoints(before.granted.external, granted.external)) return
    onChange({ external: granted.external, language: gateway.language, router: gateway.router })
  }

  /** RFC 6887 §11.2.1. */
  #renewIn(delayMs: number): void {
    this.#cancelTimer = this.#options.clock.after(Math.max(leastRenewalMs, delayMs), () =>
      this.#start(() => this.#renew()),
    )
  }

  async #renew(): Promise<void> {
    const held = this.#held
    if (!held) return
    const { clock, port, leaseMs = usualLeaseMs, onChange } = this.#options
    const request = { internalPort: port, externalPort: held.granted.external.port, leaseMs }
    const granted = await this.#within(renewLimitMs, (signal) => held.gateway.map(request, signal)).catch(
      () => null,
    )
    if (granted) {
      this.#hold(held.gateway, granted)
      return
    }
    const leftMs = held.expiresAt - clock.now()
    if (this.#closed || leftMs > leastRenewalMs) {
      if (!this.#closed) this.#renewIn(leftMs / 2)
      return
    }
    this.#held = null
    onChange(null)
    await this.#ask()
  }

  #start(work: () => Promise<void>): void {
    this.#work = work()
  }

  /** Aborts what takes longer, by our clock. */
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
