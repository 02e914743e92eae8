// A router used by PCP, or by NAT-PMP if it knows nothing newer.

import { createSocket } from 'node:dgram'
import type { Crypto } from '../../base/crypto.ts'
import type { Gateway, Granted, MappingRequest, PortProtocol } from './gateway.ts'
import {
  decodeNatPmp,
  decodePcpMap,
  encodeNatPmpAddress,
  encodeNatPmpMap,
  encodePcpMap,
  type MapRequest,
  maxPcpBytes,
  type NatPmpAnswer,
  type PcpAnswer,
  pcpNonceBytes,
  unsupportedVersion,
} from './pcp-codec.ts'

type PcpGatewayOptions = {
  readonly router: string
  /** Our address, the target of the mappings. */
  readonly client: string
  readonly randomBytes: Crypto['randomBytes']
  /** Default UDP. */
  readonly protocol?: PortProtocol
  /** Replaces the standard port in tests. */
  readonly port?: number
}

const standardPort = 5351
/**
 * Doubled from 250 ms (RFC 6886 §3.1). Its nine repetitions take a minute; a router in the LAN needs only a
 * few.
 */
const sendAtMs = [0, 250, 750, 1_750]
const giveUpAfterMs = 2_500

export class PcpGateway implements Gateway {
  readonly router: string
  readonly #options: PcpGatewayOptions
  /** The same nonce for renewing and deleting: it proves that the mapping is ours (RFC 6887 §11.2). */
  readonly #nonce: Uint8Array
  #language: 'PCP' | 'NAT-PMP' = 'PCP'

  constructor(options: PcpGatewayOptions) {
    this.router = options.router
    this.#options = options
    this.#nonce = options.randomBytes(pcpNonceBytes)
  }

  get language(): 'PCP' | 'NAT-PMP' {
    return this.#language
  }

  async map({ internalPort, externalPort, leaseMs }: MappingRequest, signal: AbortSignal): Promise<Granted> {
    const request = { internalPort, externalPort, lifetimeS: Math.ceil(leaseMs / 1000) }
    if (this.#language === 'PCP') {
      const answer = await this.#requestPcp(request, signal)
      if (answer.type === 'mapped') return granted(answer.external, answer.lifetimeS)
      if (answer.code !== unsupportedVersion) throw refusal(answer.code)
      this.#language = 'NAT-PMP'
    }
    const addressAnswer = await this.#exchange(
      encodeNatPmpAddress(),
      (bytes) => decodeNatPmp(bytes, 'address'),
      signal,
    )
    if (addressAnswer.type !== 'address')
      throw refusal(addressAnswer.type === 'refused' ? addressAnswer.code : 0)
    const answer = await this.#requestNatPmp(request, signal)
    if (answer.type !== 'mapped') throw refusal(answer.type === 'refused' ? answer.code : 0)
    return granted({ address: addressAnswer.address, port: answer.externalPort }, answer.lifetimeS)
  }

  /** Also when no mapping was confirmed: the answer may have been lost. */
  async unmap(_granted: Granted, internalPort: number, signal: AbortSignal): Promise<void> {
    const request = { internalPort, externalPort: 0, lifetimeS: 0 }
    if (this.#language === 'PCP') await this.#requestPcp(request, signal)
    // The answer has port 0, which counts as refused; any answer is enough.
    else await this.#requestNatPmp(request, signal)
  }

  #requestNatPmp(request: MapRequest, signal: AbortSignal): Promise<NatPmpAnswer> {
    const { protocol } = this.#options
    const decode = (bytes: Uint8Array) => decodeNatPmp(bytes, request.internalPort, protocol)
    return this.#exchange(encodeNatPmpMap(request, protocol), decode, signal)
  }

  #requestPcp(request: MapRequest, signal: AbortSignal): Promise<PcpAnswer> {
    const { client, protocol } = this.#options
    const decode = (bytes: Uint8Array) => decodePcpMap(bytes, request.internalPort, this.#nonce, protocol)
    return this.#exchange(encodePcpMap(request, client, this.#nonce, protocol), decode, signal)
  }

  /**
   * Each request has its own connected socket: the system then accepts only the router's packets, and reports
   * when the port is closed.
   */
  async #exchange<Answer>(
    request: Uint8Array,
    decode: (bytes: Uint8Array) => Answer | null,
    signal: AbortSignal,
  ): Promise<Answer> {
    const { router, client, port = standardPort } = this.#options
    const limited = AbortSignal.any([signal, AbortSignal.timeout(giveUpAfterMs)])
    limited.throwIfAborted()
    const socket = createSocket('udp4')
    const timers: NodeJS.Timeout[] = []
    try {
      return await new Promise<Answer>((resolve, reject) => {
        limited.addEventListener('abort', () => reject(limited.reason), { once: true })
        socket.on('error', reject)
        socket.on('message', (bytes) => {
          const answer = bytes.length <= maxPcpBytes ? decode(bytes) : null
          if (answer !== null) resolve(answer)
        })
        const send = () => socket.send(request, (error) => error && reject(error))
        socket.bind({ address: client }, () => {
          socket.connect(port, router, () => {
            for (const atMs of sendAtMs) timers.push(setTimeout(send, atMs))
          })
        })
      })
    } finally {
      for (const timer of timers) clearTimeout(timer)
      socket.close()
    }
  }
}

function granted(external: Granted['external'], lifetimeS: number): Granted {
  return { external, lifetimeMs: lifetimeS * 1000 }
}

function refusal(code: number): Error {
  return new Error(`the router refused (code ${code})`)
}
