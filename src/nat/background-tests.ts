// Background tests, one after the other, for what takes longer than the first verdict may: hairpinning and the
// mapping lifetime.

import type { Findings, Observation } from './classify-nat.ts'
import { HairpinTest } from './hairpin-test.ts'
import { MappingLifetimeTest } from './mapping-lifetime-test.ts'
import type { StunClient } from './stun-client.ts'

export type BackgroundFinding = 'hairpins' | 'lifetime'

type BackgroundTestsOptions = {
  readonly stunClient: StunClient
  readonly now: number
  readonly tests: readonly BackgroundFinding[]
  /** The server to use, and how it sees the main socket. */
  readonly observation: Observation
  readonly portsKept: boolean
}

type Progress = { readonly findings: Findings; readonly done: boolean }

export class BackgroundTests {
  readonly #options: BackgroundTestsOptions
  #hairpins: HairpinTest | null = null
  #lifetime: MappingLifetimeTest | null = null
  #lifetimeMs: number | null = null
  #done = false

  constructor(options: BackgroundTestsOptions) {
    this.#options = options
    const { stunClient, now, tests, observation } = options
    if (tests.includes('hairpins')) {
      this.#hairpins = new HairpinTest(now, stunClient, observation.server, observation.mapped)
    } else this.#startLifetime(now)
  }

  /** The findings since the last call; null when there are none. */
  advance(now: number): Progress | null {
    if (this.#done) return null
    if (this.#hairpins) {
      const hairpins = this.#hairpins.advance(now)
      if (hairpins === 'pending') return null
      this.#hairpins = null
      this.#startLifetime(now)
      return this.#progress({ hairpins })
    }
    const isOver = this.#lifetime?.advance(now) ?? true
    const lifetimeMs = this.#lifetime?.lifetimeMs ?? null
    if (isOver) this.#lifetime = null
    else if (lifetimeMs === this.#lifetimeMs) return null
    this.#lifetimeMs = lifetimeMs
    return this.#progress({ lifetimeMs })
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
    const { tests, stunClient, observation, portsKept } = this.#options
    if (!tests.includes('lifetime')) return
    this.#lifetime = new MappingLifetimeTest({ stunClient, now, server: observation.server, portsKept })
  }

  #progress(findings: Findings): Progress {
    this.#done = this.#hairpins === null && this.#lifetime === null
    return { findings, done: this.#done }
  }
}
