// The port that the router opened for us, if it did. It is asked while the NAT is being probed, and the first
// request waits for it only a moment; a port that comes or goes later is news for the host.

import type { Clock } from '../../base/clock.ts'
import type { Crypto } from '../../base/crypto.ts'
import { addressScope, type Candidate } from '../../base/endpoint.ts'
import type { PortProtocol } from '../../net/portmap/gateway.ts'
import type { PortMapper, PortMapping, PortMappingOptions } from '../../net/portmap/port-mapper.ts'

type PortMappedCandidateOptions = {
  readonly clock: Clock
  readonly crypto: Crypto
  /** Default UDP. */
  readonly protocol?: PortProtocol
  readonly mapPort: (options: PortMappingOptions) => Promise<PortMapper>
  /** It came or went after `ask` had resolved. */
  readonly onNews: () => void
  /** One sentence. */
  readonly onNotice: (notice: string) => void
}

/** So long the first request waits. By PCP an answer takes some 10 ms, by UPnP 100 ms; a mail takes seconds. */
export const patienceMs = 400

export class PortMappedCandidate {
  readonly #options: PortMappedCandidateOptions
  #mapper: Promise<PortMapper | null> = Promise.resolve(null)
  #mapping: PortMapping | null = null
  #isAwaited = true
  #stopWaiting: () => void = () => {}
  #closed = false

  constructor(options: PortMappedCandidateOptions) {
    this.#options = options
  }

  /** Resolves when the router has answered, when patience is over, or when closed. Once only. */
  async ask(port: number): Promise<void> {
    const { clock, crypto, mapPort, protocol = 'UDP' } = this.#options
    if (this.#closed) return
    await new Promise<void>((resolve) => {
      const cancel = clock.after(patienceMs, resolve)
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
    this.#isAwaited = false
  }

  get mapping(): PortMapping | null {
    return this.#mapping
  }

  /** With the address the router calls its own, public or not. */
  get candidate(): Candidate | null {
    return this.#mapping && { kind: 'port-mapped', endpoint: this.#mapping.external }
  }

  /** Takes the port back; two seconds at most. */
  async close(): Promise<void> {
    this.#closed = true
    this.#stopWaiting()
    await (await this.#mapper)?.close()
  }

  #change(mapping: PortMapping | null): void {
    if (this.#closed) return
    this.#mapping = mapping
    this.#options.onNotice(mapping ? noticeOf(mapping) : 'The router closed our port again.')
    if (!this.#isAwaited) this.#options.onNews()
  }
}

function noticeOf({ external, language }: PortMapping): string {
  if (addressScope(external.address) === 'public')
    return `The router opened port ${external.port} (${language}).`
  return (
    `The router opened port ${external.port} (${language}), but its own address is not public: ` +
    'it stands behind another NAT, and nobody outside that one can use the port.'
  )
}
