// A router that is asked by UPnP (Internet Gateway Device 1 and 2).

import { request as httpRequest, type RequestOptions } from 'node:http'
import { canonicalAddress, familyOf } from '../../base/endpoint.ts'
import type { Gateway, Granted, MappingRequest, PortProtocol } from './gateway.ts'
import { routersOwn, searchUpnp, type UpnpPlace } from './ssdp-search.ts'
import {
  actionRequest,
  errorCodeOf,
  readServices,
  readUrlBase,
  type Service,
  textOf,
} from './upnp-messages.ts'

/** Descriptions in the field have some ten thousand. */
const maxAnswerBytes = 256 * 1024
/** WANIPConnection: somebody else has this port; the same, by another program of the router. */
const conflicts = [718, 729]
/** Routers that keep a mapping until it is taken back say 725; some only that they do not understand. */
const leaseRefusals = [402, 725]
const maxPortTries = 4

type UpnpGatewayOptions = UpnpPlace & {
  /** 0..1, for the ports to try when ours is taken. */
  readonly random: () => number
  /** Default UDP. */
  readonly protocol?: PortProtocol
  /** SSDP's, but in tests. */
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

/** Rejects when the router does not speak UPnP, or has nothing that maps ports. */
export async function findUpnpGateway(options: UpnpGatewayOptions, signal: AbortSignal): Promise<Gateway> {
  const { router, client, searchPort } = options
  const location = await searchUpnp({ router, client }, signal, searchPort)
  const description = await exchange(location, { method: 'GET', localAddress: client, signal })
  if (description.status !== 200) throw new Error('the router has no description of itself')
  const base = routersOwn(readUrlBase(description.text) ?? '', router) ?? location
  const controls = readServices(description.text).flatMap(({ type, controlUrl }: Service) => {
    const url = routersOwn(controlUrl, router, base)
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
  /** The one that granted last. */
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
    await this.#act(this.#control, 'DeletePortMapping', this.#place(external.port), signal)
  }

  async #externalAddress(control: Control, signal: AbortSignal): Promise<string> {
    const answer = await this.#act(control, 'GetExternalIPAddress', {}, signal)
    const address = canonicalAddress(textOf(answer, 'NewExternalIPAddress') ?? '')
    if (address === null || familyOf(address) !== 4 || address === '0.0.0.0') {
      throw new Error('the router has no address outside')
    }
    return address
  }

  /** The port outside. */
  async #mapAt(control: Control, request: MappingRequest, signal: AbortSignal): Promise<number> {
    let port = request.externalPort
    let leaseS = Math.ceil(request.leaseMs / 1000)
    for (let tries = 1; ; tries++) {
      try {
        await this.#act(control, 'AddPortMapping', this.#mapping(port, request.internalPort, leaseS), signal)
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
      ...this.#place(externalPort),
      NewInternalPort: internalPort,
      NewInternalClient: this.#options.client,
      NewEnabled: 1,
      NewPortMappingDescription: 'peerpost',
      NewLeaseDuration: leaseS,
    }
  }

  #place(externalPort: number) {
    const { protocol = 'UDP' } = this.#options
    return { NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: protocol }
  }

  /** The body of the answer; rejects with an UpnpError when the router says no. */
  async #act(
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

/** One HTTP exchange, bounded in size; bounded in time by the signal. Redirects are not followed. */
function exchange(
  url: URL,
  options: RequestOptions,
  body = '',
): Promise<{ readonly status: number; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const headers = { ...options.headers, 'content-length': Buffer.byteLength(body), connection: 'close' }
    const request = httpRequest(url, { ...options, headers, agent: false }, (response) => {
      const parts: Buffer[] = []
      let bytes = 0
      response.on('data', (part: Buffer) => {
        bytes += part.length
        if (bytes > maxAnswerBytes) request.destroy(new Error('the router’s answer is too long'))
        else parts.push(part)
      })
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, text: Buffer.concat(parts).toString('utf8') }),
      )
    })
    request.on('error', reject)
    request.end(body)
  })
}
