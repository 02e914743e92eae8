// The candidate for a port that the router opens for us. The router is asked while the NAT is probed. The first request
// waits only briefly for it. When the port opens or closes later, a new request is needed.

import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { addressScope, type Candidate } from '../../base/endpoint.ts'
import type { PortProtocol } from '../../net/portmap/gateway.ts'
import type { PortMapper, PortMapping, PortMappingOptions } from '../../net/portmap/port-mapper.ts'

type PortMappedCandidateOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  /** Default: UDP. */
  readonly protocol?: PortProtocol
  readonly mapPort: (options: PortMappingOptions) => Promise<PortMapper>
  /** The mapping has changed since `requestMapping` resolved. */
  readonly onCandidatesChange: () => void
  /** One sentence. */
  readonly onNotice: (notice: string) => void
}

/** The first request waits this long. A PCP answer takes about 10 ms, UPnP about 100 ms, a mail some seconds. */
export const graceMs = 400

export class PortMappedCandidate {
  readonly #options: PortMappedCandidateOptions
  #mapper: Promise<PortMapper | null> = Promise.resolve(null)
  #mapping: PortMapping | null = null
  #isWaiting = true
  #stopWaiting: () => void = () => {}
  #closed = false

  constructor(options: PortMappedCandidateOptions) {
    this.#options = options
  }

  /** Call it once. Resolves when the router has answered, after `graceMs`, or when closed. */
  async requestMapping(port: number): Promise<void> {
    const { clock, crypto, mapPort, protocol = 'UDP' } = this.#options
    if (this.#closed) return
    await new Promise<void>((resolve) => {
      const cancel = clock.after(graceMs, resolve)
      this.#stopWaiting = () => {
        cancel()
        resolve()
      }
      const randomBytes = (length: number) => crypto.randomBytes(length)
      this.#mapper = mapPort({
        clock,
        randomBytes,
        port,
        protocol,
        onChange: (mapping) => this.#change(mapping),
      }).catch(() => null)
      void this.#mapper.then((mapper) => mapper?.settled).then(this.#stopWaiting)
    })
    this.#isWaiting = false
  }

  get mapping(): PortMapping | null {
    return this.#mapping
  }

  /** Has the external address that the router reports, even if that is not public. */
  get candidate(): Candidate | null {
    return this.#mapping && { kind: 'port-mapped', endpoint: this.#mapping.external }
  }

  /** Removes the port mapping. Takes two seconds at most. */
  async close(): Promise<void> {
    this.#closed = true
    this.#stopWaiting()
    await (await this.#mapper)?.close()
  }

  #change(mapping: PortMapping | null): void {
    if (this.#closed) return
    this.#mapping = mapping
    this.#options.onNotice(mapping ? mappingNotice(mapping) : 'The router closed our port again.')
    if (!this.#isWaiting) this.#options.onCandidatesChange()
  }
}

function mappingNotice({ external, language }: PortMapping): string {
  if (addressScope(external.address) === 'public')
    return `The router opened port ${external.port} (${language}).`
  return (
    `The router opened port ${external.port} (${language}), but its own address is not public: ` +
    'it is behind another NAT, so nobody outside that NAT can use the port.'
  )
}
