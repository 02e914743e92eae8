// A router used by UPnP (Internet Gateway Device 1 and 2).

import { request as httpRequest, type RequestOptions } from 'node:http'
import { canonicalAddress, familyOf } from '../../base/endpoint.ts'
import type { Gateway, Granted, MappingRequest, PortProtocol } from './gateway.ts'
import { ownUrlOf, type RouterAddresses, searchUpnp } from './ssdp-search.ts'
import {
  actionRequest,
  errorCodeOf,
  parseServices,
  parseUrlBase,
  type Service,
  textOf,
} from './upnp-messages.ts'

/** Real descriptions have some ten thousand bytes. */
const maxAnswerBytes = 256 * 1024
/** WANIPConnection: another device has this port, or another program of the router has it. */
const conflicts = [718, 729]
/** Routers with permanent mappings only answer 725; some answer that they do not understand (402). */
const leaseRefusals = [402, 725]
const maxPortTries = 4

type UpnpGatewayOptions = RouterAddresses & {
  /** 0 up to 1; chooses other ports when ours is in use. */
  readonly random: () => number
  /** Default UDP. */
  readonly protocol?: PortProtocol
  /** Replaces SSDP's port in tests. */
  readonly searchPort?: number
}

type Control = { readonly type: string; readonly url: URL }

class UpnpError extends Error {
  readonly code: number
  constructor(code: number) {
    super(`the router refused (UPnP error ${code})`)
    this.code = code
  }
}

/** Rejects when the router has no UPnP, or no service that maps ports. */
export async function findUpnpGateway(options: UpnpGatewayOptions, signal: AbortSignal): Promise<Gateway> {
  const { router, client, searchPort } = options
  const location = await searchUpnp({ router, client }, signal, searchPort)
  const description = await exchange(location, { method: 'GET', localAddress: client, signal })
  if (description.status !== 200) throw new Error('the router has no description of itself')
  const base = ownUrlOf(parseUrlBase(description.text) ?? '', router) ?? location
  const controls = parseServices(description.text).flatMap(({ type, controlUrl }: Service) => {
    const url = ownUrlOf(controlUrl, router, base)
    return url ? [{ type, url }] : []
  })
  if (controls.length === 0) throw new Error('the router offers nothing that maps ports')
  return new UpnpGateway(options, controls)
}

class UpnpGateway implements Gateway {
  readonly language = 'UPnP'
  readonly router: string
  readonly #options: UpnpGatewayOptions
  readonly #controls: readonly Control[]
  /** The one that granted a port last. */
  #control: Control | null = null

  constructor(options: UpnpGatewayOptions, controls: readonly Control[]) {
    this.router = options.router
    this.#options = options
    this.#controls = controls
  }

  async map(request: MappingRequest, signal: AbortSignal): Promise<Granted> {
    let failure: unknown = new Error('the router offers nothing that maps ports')
    for (const control of this.#control ? [this.#control] : this.#controls) {
      try {
        const external = await this.#externalAddress(control, signal)
        const port = await this.#mapAt(control, request, signal)
        this.#control = control
        return { external: { address: external, port }, lifetimeMs: request.leaseMs }
      } catch (error) {
        failure = error
      }
    }
    throw failure
  }

  async unmap({ external }: Granted, _internalPort: number, signal: AbortSignal): Promise<void> {
    if (!this.#control) return
    await this.#callAction(this.#control, 'DeletePortMapping', this.#mappingKey(external.port), signal)
  }

  async #externalAddress(control: Control, signal: AbortSignal): Promise<string> {
    const answer = await this.#callAction(control, 'GetExternalIPAddress', {}, signal)
    const address = canonicalAddress(textOf(answer, 'NewExternalIPAddress') ?? '')
    if (address === null || familyOf(address) !== 4 || address === '0.0.0.0') {
      throw new Error('the router has no address outside')
    }
    return address
  }

  /** Returns the external port. */
  async #mapAt(control: Control, request: MappingRequest, signal: AbortSignal): Promise<number> {
    let port = request.externalPort
    let leaseS = Math.ceil(request.leaseMs / 1000)
    for (let tries = 1; ; tries++) {
      try {
        await this.#callAction(
          control,
          'AddPortMapping',
          this.#mapping(port, request.internalPort, leaseS),
          signal,
        )
        return port
      } catch (error) {
        if (!(error instanceof UpnpError) || tries >= maxPortTries) throw error
        if (conflicts.includes(error.code)) port = 1024 + Math.floor(this.#options.random() * 64_512)
        else if (leaseRefusals.includes(error.code) && leaseS > 0) leaseS = 0
        else throw error
      }
    }
  }

  #mapping(externalPort: number, internalPort: number, leaseS: number): Record<string, string | number> {
    return {
      ...this.#mappingKey(externalPort),
      NewInternalPort: internalPort,
      NewInternalClient: this.#options.client,
      NewEnabled: 1,
      NewPortMappingDescription: 'peerpost',
      NewLeaseDuration: leaseS,
    }
  }

  #mappingKey(externalPort: number) {
    const { protocol = 'UDP' } = this.#options
    return { NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: protocol }
  }

  /** The body of the answer. Rejects with an UpnpError when the router refuses. */
  async #callAction(
    { type, url }: Control,
    action: string,
    values: Readonly<Record<string, string | number>>,
    signal: AbortSignal,
  ): Promise<string> {
    const body = actionRequest(type, action, values)
    const headers = { 'content-type': 'text/xml; charset="utf-8"', soapaction: `"${type}#${action}"` }
    const localAddress = this.#options.client
    const { status, text } = await exchange(url, { method: 'POST', headers, localAddress, signal }, body)
    if (status !== 200) throw new UpnpError(errorCodeOf(text))
    return text
  }
}

/** One HTTP request, bounded in size, and in time by the signal. Does not follow redirects. */
function exchange(
  url: URL,
  options: RequestOptions,
  body = '',
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { ...options.headers, 'content-length': Buffer.byteLength(body), connection: 'close' }
    const request = httpRequest(url, { ...options, headers, agent: false }, (response) => {
      const chunks: Buffer[] = []
      let bytes = 0
      response.on('data', (chunk: Buffer) => {
        bytes += chunk.length
        if (bytes > maxAnswerBytes) request.destroy(new Error('the router’s answer is too long'))
        else chunks.push(chunk)
      })
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString('utf8') }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}
