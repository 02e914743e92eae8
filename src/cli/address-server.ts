// `peerpost address-server`: tells whoever asks where its packets come from, until stopped. The host runs one too.

import { type Endpoint, formatEndpoint } from '../base/endpoint.ts'
import { Problem } from '../base/problem.ts'
import { areDistinctAddresses, maxListenAddresses, parseListenAddress } from '../config/listen-address.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { type AddressServer, type ServedCounts, startAddressServer } from '../stun-server/stun-server.ts'
import { count, type Line } from '../wording/numbers-text.ts'
import { createReporter, type Reporter } from './output.ts'
import { untilStopped } from './shutdown.ts'

/** `behaviour`: the families over which NAT filtering can be learned too (RFC 5780). */
type Open = { readonly endpoints: readonly string[]; readonly behaviour: readonly string[] }

export type ServedEvent = { readonly event: 'served' } & ServedCounts
type AddressServerEvent = ({ readonly event: 'ready' } & Open) | ServedEvent
/** What a host tells of the address server it runs. */
export type HostedEvent = ({ readonly event: 'address-server' } & Open) | ServedEvent

export type AddressServerOptions = { readonly listen: readonly string[]; readonly json?: boolean }

export async function runAddressServer({ listen, json }: AddressServerOptions): Promise<void> {
  const { stopped } = untilStopped()
  const report = createReporter(json, systemClock.wallNow, describeAddressServerEvent)
  const server = await open(placesOf(listen), report)
  report({ event: 'ready', ...tell(server) })
  await stopped
  await server.close()
}

/** For a host's `[address_server] listen`, checked already; null when there is none. */
export async function openHostedServer(
  listen: readonly string[],
  report: Reporter<HostedEvent>,
): Promise<AddressServer | null> {
  if (listen.length === 0) return null
  try {
    const server = await open(placesOf(listen), report)
    report({ event: 'address-server', ...tell(server) })
    return server
  } catch (thrown) {
    if (!(thrown instanceof Problem)) throw thrown
    const { code, message, remedy } = thrown
    throw new Problem(
      code,
      `The address server cannot start: ${message}`,
      `${remedy} It is [address_server] listen of the config.`,
      { cause: thrown },
    )
  }
}

export function describeAddressServerEvent(event: AddressServerEvent | HostedEvent): Line {
  if (event.event === 'served') {
    const { answered, limited, ignored } = event
    const text = `${count(answered, 'question')} answered, ${limited} refused as too many, ${ignored} ignored as no questions.`
    return { tone: 'quiet', text }
  }
  const filters =
    event.behaviour.length === 0
      ? ''
      : ` What a NAT filters can be learned over ${event.behaviour.join(' and ')}.`
  return { tone: 'good', text: `Telling public addresses at ${event.endpoints.join(', ')}.${filters}` }
}

function open(listen: readonly Endpoint[], report: Reporter<ServedEvent>): Promise<AddressServer> {
  return startAddressServer({ listen, onServed: (counts) => report({ event: 'served', ...counts }) })
}

function tell({ endpoints, behaviour }: AddressServer): Open {
  return {
    endpoints: endpoints.map(formatEndpoint),
    behaviour: behaviour.map((family) => `IPv${family}`),
  }
}

function placesOf(listen: readonly string[]): Endpoint[] {
  if (listen.length > maxListenAddresses) {
    throw new Problem(
      'usage',
      `--listen is given ${listen.length} times.`,
      `Name at most ${maxListenAddresses} places.`,
    )
  }
  if (!areDistinctAddresses(listen)) {
    throw new Problem('usage', '--listen names one place twice.', 'Name each place once.')
  }
  return listen.map((text) => {
    const place = parseListenAddress(text)
    if (place) return place
    throw new Problem(
      'usage',
      `"--listen ${text}" is not IP:PORT.`,
      'Write it like 192.0.2.1:3478 or [2001:db8::1]:3478.',
    )
  })
}
