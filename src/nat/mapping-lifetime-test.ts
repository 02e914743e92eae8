// Measures how long a mapping lives without traffic (RFC 5780 §4.6). There is one socket per silence, and all
// start at once. After its silence, another socket asks the server to answer to the silent socket's mapping
// (RESPONSE-PORT). If the server cannot do that, the silent socket itself sends again and compares its mapping.
// This second way counts only once a mapping was seen to change, because some NATs give a socket its old port
// again.

import type { Endpoint } from '../base/endpoint.ts'
import { equalEndpoints } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'
import { patientTiming, type StunClient, type StunTransaction } from './stun-client.ts'

/** Silences that are tested, in ms. Mappings in the field live from 10 to 300 s. */
const silencesMs = [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000] as const
/** The reported lifetime when not even the shortest silence was survived. */
const leastLifetimeMs = 2_500
/** The server may be busy, and a lost answer must not look like an expired mapping. */
const insistentTiming = { sendAfterMs: [0, 1_000, 2_000], patienceMs: 3_500 }

type Probe = {
  readonly silenceMs: number
  readonly via: Via
  readonly first: StunTransaction
  check: StunTransaction | null
}

type LifetimeOptions = {
  readonly stunClient: StunClient
  readonly now: number
  readonly server: Endpoint
  /** The NAT keeps our ports, so a new mapping looks like the old one. */
  readonly portsKept: boolean
}

export class MappingLifetimeTest {
  readonly #options: LifetimeOptions
  readonly #stunClient: StunClient
  readonly #helperSocket: Via
  readonly #helperRequest: StunTransaction
  readonly #probes: Probe[]
  /**
   * A control test: whether the server answers to another port on request. It runs at once, with a mapping that
   * is surely alive.
   */
  readonly #control: { readonly via: Via; readonly first: StunTransaction; check: StunTransaction | null }
  #canRedirect: boolean | null = null
  /** A request from the silent socket itself, to tell an expired mapping from a dead server. */
  #directRequest: StunTransaction | null = null
  #survivedMs: number | null = null
  #sawEnd = false
  #isDone = false

  constructor(options: LifetimeOptions) {
    this.#options = options
    const { stunClient, now, server } = options
    this.#stunClient = stunClient
    const begin = () => {
      const via = stunClient.newSocket()
      return { via, first: stunClient.request(now, { to: server, via, ...patientTiming(null) }), check: null }
    }
    const helper = begin()
    this.#helperSocket = helper.via
    this.#helperRequest = helper.first
    this.#control = begin()
    this.#probes = silencesMs.map((silenceMs) => ({ silenceMs, ...begin() }))
  }

  /** The longest silence survived so far; null while unknown. */
  get lifetimeMs(): number | null {
    if (this.#sawEnd) return this.#survivedMs ?? leastLifetimeMs
    return this.#canRedirect ? this.#survivedMs : null
  }

  /** True when the test is done. */
  advance(now: number): boolean {
    while (!this.#isDone && this.#step(now));
    return this.#isDone
  }

  nextTimeout(): number | null {
    const [probe] = this.#probes
    if (this.#isDone || !probe || probe.check || probe.first.state === 'pending') return null
    return probe.first.answeredAt + probe.silenceMs
  }

  stop(): void {
    if (this.#isDone) return
    this.#isDone = true
    for (const { via } of [this.#control, ...this.#probes]) this.#stunClient.close(via)
    this.#stunClient.close(this.#helperSocket)
  }

  /** Whether it made progress, so that another step may follow. */
  #step(now: number): boolean {
    if (this.#canRedirect === null && !this.#settleControl(now)) return false
    const [probe] = this.#probes
    if (!probe) return this.#end()
    const { first, silenceMs, via } = probe
    if (first.state === 'pending') return false
    if (!first.mapped) return this.#drop()
    if (!probe.check) {
      if (now < first.answeredAt + silenceMs) return false
      probe.check = this.#canRedirect
        ? this.#requestAnswerTo(now, via, first.mapped)
        : this.#requestFrom(now, via)
      return true
    }
    if (probe.check.state === 'pending') return false
    if (this.#canRedirect) {
      if (probe.check.state === 'answered') return this.#survived(silenceMs)
      this.#directRequest ??= this.#requestFrom(now, via)
      if (this.#directRequest.state === 'pending') return false
      // If the server itself is silent, the result is unknown.
      return this.#directRequest.state === 'answered' ? this.#died() : this.#end()
    }
    if (!probe.check.mapped) return this.#end()
    return equalEndpoints(probe.check.mapped, first.mapped) ? this.#survived(silenceMs) : this.#died()
  }

  #settleControl(now: number): boolean {
    const { first, via } = this.#control
    if (first.state === 'pending' || this.#helperRequest.state === 'pending') return false
    if (first.mapped) this.#control.check ??= this.#requestAnswerTo(now, via, first.mapped)
    const state = this.#control.check?.state ?? 'silent'
    if (state === 'pending') return false
    this.#canRedirect = state === 'answered'
    if (!this.#canRedirect && (this.#options.portsKept || !first.mapped)) this.#end()
    return true
  }

  #requestAnswerTo(now: number, answerVia: Via, { port }: Endpoint): StunTransaction {
    const { server: to } = this.#options
    return this.#stunClient.request(now, {
      to,
      via: this.#helperSocket,
      answerVia,
      response: { responsePort: port },
      ...insistentTiming,
    })
  }

  #requestFrom(now: number, via: Via): StunTransaction {
    return this.#stunClient.request(now, { to: this.#options.server, via, ...insistentTiming })
  }

  #survived(silenceMs: number): boolean {
    this.#survivedMs = silenceMs
    return this.#drop()
  }

  #died(): boolean {
    this.#sawEnd = true
    return this.#end()
  }

  /** Continues with the next silence. */
  #drop(): boolean {
    const probe = this.#probes.shift()
    if (probe) this.#stunClient.close(probe.via)
    return true
  }

  #end(): boolean {
    this.stop()
    return false
  }
}
