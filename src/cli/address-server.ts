// `peerpost address-server`: answers clients with their public address until stopped. `peerpost host` can run one too.

import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import { Problem } from '../base/problem.ts'
import { areDistinctAddresses, maxListenAddresses, parseListenAddress } from '../config/listen-address.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { type AddressServer, type ServedCounts, startAddressServer } from '../stun-server/stun-server.ts'
import { count, type Line } from '../wording/numbers-text.ts'
import { createReporter, type Reporter } from './output.ts'
import { untilStopped } from './shutdown.ts'

/** `behaviour` are the families for which all tests of RFC 5780 work. */
type OpenFields = { readonly endpoints: readonly string[]; readonly behaviour: readonly string[] }

export type ServedEvent = { readonly event: 'served' } & ServedCounts
type AddressServerEvent = ({ readonly event: 'ready' } & OpenFields) | ServedEvent
/** Events of the address server that a host runs. */
export type HostedEvent = ({ readonly event: 'address-server' } & OpenFields) | ServedEvent

export type AddressServerOptions = { readonly listen: readonly string[]; readonly json?: boolean }

export async function runAddressServer({ listen, json }: AddressServerOptions): Promise<void> {
  const { stopped } = untilStopped()
  const report = createReporter(json, systemClock.wallNow, describeAddressServerEvent)
  const server = await startServer(parseListenOptions(listen), report)
  report({ event: 'ready', ...openFields(server) })
  await stopped
  await server.close()
}

/** Opens `[address_server] listen` of a host's config, which is checked already. Null when the list is empty. */
export async function openHostedServer(
  listen: readonly string[],
  report: Reporter<HostedEvent>,
): Promise<AddressServer | null> {
  if (listen.length === 0) return null
  try {
    const server = await startServer(parseListenOptions(listen), report)
    report({ event: 'address-server', ...openFields(server) })
    return server
  } catch (thrown) {
    if (!(thrown instanceof Problem)) throw thrown
    const { code, message, remedy } = thrown
    throw new Problem(
      code,
      `The address server cannot start: ${message}`,
      `${remedy} The setting is [address_server] listen.`,
      { cause: thrown },
    )
  }
}

export function describeAddressServerEvent(event: AddressServerEvent | HostedEvent): Line {
  if (event.event === 'served') {
    const { answered, limited, ignored } = event
    const text = `${count(answered, 'request')} answered, ${limited} over the rate limit, ${ignored} invalid.`
    return { tone: 'quiet', text }
  }
  const filters =
    event.behaviour.length === 0
      ? ''
      : ` Clients can test the filtering of their NAT over ${event.behaviour.join(' and ')}.`
  return { tone: 'good', text: `The address server answers at ${event.endpoints.join(', ')}.${filters}` }
}

function startServer(listen: readonly Endpoint[], report: Reporter<ServedEvent>): Promise<AddressServer> {
  return startAddressServer({ listen, onServed: (counts) => report({ event: 'served', ...counts }) })
}

function openFields({ endpoints, behaviour }: AddressServer): OpenFields {
  return {
    endpoints: endpoints.map(formatEndpoint),
    behaviour: behaviour.map((family) => `IPv${family}`),
  }
}

function parseListenOptions(listen: readonly string[]): Endpoint[] {
  if (listen.length > maxListenAddresses) {
    throw new Problem(
      'usage',
      `--listen is given ${listen.length} times.`,
      `Give it at most ${maxListenAddresses} times.`,
    )
  }
  if (!areDistinctAddresses(listen)) {
    throw new Problem('usage', '--listen names one address twice.', 'Name each address once.')
  }
  return listen.map((text) => {
    const endpoint = parseListenAddress(text)
    if (endpoint) return endpoint
    throw new Problem(
      'usage',
      `"--listen ${text}" is not IP:PORT.`,
      'Write it like 192.0.2.1:3478 or [2001:db8::1]:3478.',
    )
  })
}
