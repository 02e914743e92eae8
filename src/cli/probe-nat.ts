// Probes the NAT with its own sockets, and tests whether the router opens ports.

import type { Crypto } from '../base/crypto.ts'
import { addressScope, type Endpoint, type Family, familyOf } from '../base/endpoint.ts'
import { type BackgroundFinding, createProber, type NatView, type ProberEvent } from '../nat/nat-prober.ts'
import { hostEndpoints } from '../net/network-interfaces.ts'
import { mapPort, type PortMapping } from '../net/portmap/port-mapper.ts'
import { drive } from '../net/protocol-machine-driver.ts'
import { SocketSet } from '../net/udp/socket-set.ts'
import { openUdpSocket } from '../net/udp/udp-socket.ts'
import { systemClock } from '../runtime/system-clock.ts'

export type Probe = {
  readonly local: readonly Endpoint[]
  readonly verdict: Promise<NatView>
  /** The first result of the tests after the verdict, and the last one. Both stay pending when no such test is requested, or
   *  no server answers. */
  readonly firstLearned: Promise<NatView>
  readonly allLearned: Promise<NatView>
  close(): Promise<void>
}

export type ProbeOptions = {
  readonly crypto: Crypto
  readonly family: Family
  /** Only those of the family are used. */
  readonly servers: readonly Endpoint[]
  readonly backgroundTests: readonly BackgroundFinding[]
  readonly onEvent?: (event: ProberEvent) => void
}

/** Rejects when this computer does not have the address family. */
export async function openProbe({
  crypto,
  family,
  servers,
  backgroundTests,
  onEvent,
}: ProbeOptions): Promise<Probe> {
  const main = await openUdpSocket({ family, onDatagram: (bytes, from) => driver.receive(bytes, from) })
  const localEndpoints = hostEndpoints([main.local])
  const verdict = Promise.withResolvers<NatView>()
  const [firstLearned, allLearned] = [Promise.withResolvers<NatView>(), Promise.withResolvers<NatView>()]
  const sockets = new SocketSet({
    open: openUdpSocket,
    sendMain: (bytes, to, ttl) => main.send(bytes, to, ttl),
    onDatagram: (bytes, from, via) => driver.receive(bytes, from, via),
    onFailure: (via) => driver.socketFailed(via),
  })
  const driver = drive({
    machine: createProber({
      crypto,
      servers: servers.filter(({ address }) => familyOf(address) === family),
      localEndpoints,
      now: systemClock.now(),
      backgroundTests,
    }),
    clock: systemClock,
    send: (bytes, to, via, ttl) => sockets.send(bytes, to, via, ttl),
    close: (via) => sockets.close(via),
    onEvent: (event) => {
      if (event.type === 'profile') verdict.resolve(event)
      if (event.type === 'learned') firstLearned.resolve(event)
      if (event.type === 'learned' && event.done) allLearned.resolve(event)
      onEvent?.(event)
    },
  })
  return {
    local: localEndpoints,
    verdict: verdict.promise,
    firstLearned: firstLearned.promise,
    allLearned: allLearned.promise,
    close: async () => {
      driver.stop()
      sockets.closeAll()
      await main.close()
    },
  }
}

/** A router in the local network answers within this time, or not at all. */
const routerTimeoutMs = 3_000

/** Asks the router to open a port, and closes it again at once. Null when the router does not, and when all STUN servers are
 *  on this computer. */
export async function probePortMapping(
  { local }: Probe,
  crypto: Crypto,
  servers: readonly Endpoint[],
): Promise<PortMapping | null> {
  const port = local.find(({ address }) => familyOf(address) === 4)?.port
  if (port === undefined || servers.every(({ address }) => addressScope(address) === 'loopback')) return null
  let mapping: PortMapping | null = null
  const mapper = mapPort({
    clock: systemClock,
    randomBytes: (length) => crypto.randomBytes(length),
    port,
    onChange: (change) => {
      mapping = change ?? mapping
    },
  })
  await withinMs(mapper.settled, routerTimeoutMs)
  await mapper.close()
  return mapping
}

/** Resolves to null when the work takes longer than `limitMs`. */
export async function withinMs<Result>(work: Promise<Result>, limitMs: number): Promise<Result | null> {
  let cancel = (): void => {}
  const limit = new Promise<null>((resolve) => {
    cancel = systemClock.after(limitMs, () => resolve(null))
  })
  try {
    return await Promise.race([work, limit])
  } finally {
    cancel()
  }
}
