// How long a mapping lives without traffic (RFC 5780 §4.6). One socket for each silence, all begun at once; when its
// silence is over, either another socket asks the server to answer to the silent one's mapping (RESPONSE-PORT), or, with
// a server that cannot, the silent one asks again and looks whether its mapping is still the same. The latter only counts
// once a mapping was seen to change, for some NATs give a socket the port it had before.

import type { Endpoint } from '../base/endpoint.ts'
import { equalEndpoints } from '../base/endpoint.ts'
import type { Via } from '../base/protocol-machine.ts'
import { patiently, type Question, type StunClient } from './stun-client.ts'

/** Mappings in the field live from 10 to 300 s. */
const silencesMs = [5_000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000] as const
/** What is told where not even the shortest silence was survived. */
const leastLifetimeMs = 2_500
/** The answer may come from a server that is busy, and its loss must not look like a mapping's end. */
const insistently = { sendAfterMs: [0, 1_000, 2_000], patienceMs: 3_500 }

type Probe = {
  readonly silenceMs: number
  readonly via: Via
  readonly first: Question
  check: Question | null
}

type LifetimeOptions = {
  readonly stunClient: StunClient
  readonly now: number
  readonly server: Endpoint
  /** The NAT keeps our ports: then a new mapping looks like the old one. */
  readonly portsKept: boolean
}

export class MappingLifetimeTest {
  readonly #options: LifetimeOptions
  readonly #stunClient: StunClient
  readonly #speaker: Via
  readonly #speakerAsks: Question
  readonly #probes: Probe[]
  /** Whether the server answers to another port when asked to; asked at once, to a mapping that is surely alive. */
  readonly #control: { readonly via: Via; readonly first: Question; check: Question | null }
  #canRedirect: boolean | null = null
  /** Of a silent mapping: asks by itself, to tell a dead mapping from a dead server. */
  #secondLook: Question | null = null
  #survivedMs: number | null = null
  #sawEnd = false
  #over = false

  constructor(options: LifetimeOptions) {
    this.#options = options
    const { stunClient, now, server } = options
    this.#stunClient = stunClient
    const begin = () => {
      const via = stunClient.newSocket()
      return { via, first: stunClient.ask(now, { to: server, via, ...patiently(null) }), check: null }
    }
    const speaker = begin()
    this.#speaker = speaker.via
    this.#speakerAsks = speaker.first
    this.#control = begin()
    this.#probes = silencesMs.map((silenceMs) => ({ silenceMs, ...begin() }))
  }

  /** The longest silence survived so far; null while none is known. */
  get lifetimeMs(): number | null {
    if (this.#sawEnd) return this.#survivedMs ?? leastLifetimeMs
    return this.#canRedirect ? this.#survivedMs : null
  }

  /** Whether it is over. */
  advance(now: number): boolean {
    while (!this.#over && this.#step(now));
    return this.#over
  }

  nextTimeout(): number | null {
    const [probe] = this.#probes
    if (this.#over || !probe || probe.check || probe.first.state === 'open') return null
    return probe.first.answeredAt + probe.silenceMs
  }

  stop(): void {
    if (this.#over) return
    this.#over = true
    for (const { via } of [this.#control, ...this.#probes]) this.#stunClient.close(via)
    this.#stunClient.close(this.#speaker)
  }

  /** Whether something came of it, so that more may. */
  #step(now: number): boolean {
    if (this.#canRedirect === null && !this.#settleControl(now)) return false
    const [probe] = this.#probes
    if (!probe) return this.#end()
    const { first, silenceMs, via } = probe
    if (first.state === 'open') return false
    if (!first.mapped) return this.#drop()
    if (!probe.check) {
      if (now < first.answeredAt + silenceMs) return false
      probe.check = this.#canRedirect ? this.#askFor(now, via, first.mapped) : this.#askAgain(now, via)
      return true
    }
    if (probe.check.state === 'open') return false
    if (this.#canRedirect) {
      if (probe.check.state === 'answered') return this.#survived(silenceMs)
      this.#secondLook ??= this.#askAgain(now, via)
      if (this.#secondLook.state === 'open') return false
      // Is anybody there at all?
      return this.#secondLook.state === 'answered' ? this.#died() : this.#end()
    }
    if (!probe.check.mapped) return this.#end()
    return equalEndpoints(probe.check.mapped, first.mapped) ? this.#survived(silenceMs) : this.#died()
  }

  #settleControl(now: number): boolean {
    const { first, via } = this.#control
    if (first.state === 'open' || this.#speakerAsks.state === 'open') return false
    if (first.mapped) this.#control.check ??= this.#askFor(now, via, first.mapped)
    const state = this.#control.check?.state ?? 'silent'
    if (state === 'open') return false
    this.#canRedirect = state === 'answered'
    if (!this.#canRedirect && (this.#options.portsKept || !first.mapped)) this.#end()
    return true
  }

  #askFor(now: number, answerVia: Via, { port }: Endpoint): Question {
    const { server: to } = this.#options
    return this.#stunClient.ask(now, {
      to,
      via: this.#speaker,
      answerVia,
      response: { responsePort: port },
      ...insistently,
    })
  }

  #askAgain(now: number, via: Via): Question {
    return this.#stunClient.ask(now, { to: this.#options.server, via, ...insistently })
  }

  #survived(silenceMs: number): boolean {
    this.#survivedMs = silenceMs
    return this.#drop()
  }

  #died(): boolean {
    this.#sawEnd = true
    return this.#end()
  }

  /** On to the next. */
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
