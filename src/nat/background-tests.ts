// What takes longer than a verdict may: found out in the background, one thing after the other.

import type { Findings, Observation } from './classify-nat.ts'
import { HairpinTest } from './hairpin-test.ts'
import { MappingLifetimeTest } from './mapping-lifetime-test.ts'
import type { StunClient } from './stun-client.ts'

export type Learnable = 'hairpins' | 'lifetime'

type BackgroundTestsOptions = {
  readonly stunClient: StunClient
  readonly now: number
  readonly learn: readonly Learnable[]
  /** The server to ask, and how it sees the main socket. */
  readonly observation: Observation
  readonly portsKept: boolean
}

type News = { readonly findings: Findings; readonly done: boolean }

export class BackgroundTests {
  readonly #options: BackgroundTestsOptions
  #hairpins: HairpinTest | null = null
  #lifetime: MappingLifetimeTest | null = null
  #lifetimeMs: number | null = null
  #done = false

  constructor(options: BackgroundTestsOptions) {
    this.#options = options
    const { stunClient, now, learn, observation } = options
    if (learn.includes('hairpins')) {
      this.#hairpins = new HairpinTest(now, stunClient, observation.server, observation.mapped)
    } else this.#startLifetime(now)
  }

  /** What is new since the last call. */
  advance(now: number): News | null {
    if (this.#done) return null
    if (this.#hairpins) {
      const hairpins = this.#hairpins.advance(now)
      if (hairpins === 'open') return null
      this.#hairpins = null
      this.#startLifetime(now)
      return this.#news({ hairpins })
    }
    const isOver = this.#lifetime?.advance(now) ?? true
    const lifetimeMs = this.#lifetime?.lifetimeMs ?? null
    if (isOver) this.#lifetime = null
    else if (lifetimeMs === this.#lifetimeMs) return null
    this.#lifetimeMs = lifetimeMs
    return this.#news({ lifetimeMs })
  }

  nextTimeout(): number | null {
    return this.#lifetime?.nextTimeout() ?? null
  }

  stop(): void {
    this.#done = true
    this.#hairpins?.close()
    this.#lifetime?.stop()
  }

  #startLifetime(now: number): void {
    const { learn, stunClient, observation, portsKept } = this.#options
    if (!learn.includes('lifetime')) return
    this.#lifetime = new MappingLifetimeTest({ stunClient, now, server: observation.server, portsKept })
  }

  #news(findings: Findings): News {
    this.#done = this.#hairpins === null && this.#lifetime === null
    return { findings, done: this.#done }
  }
}
