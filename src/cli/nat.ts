// `peerpost nat`: what the world sees of this computer, and what that means.

import { formatEndpoint } from '../base/endpoint.ts'
import { Problem } from '../base/problem.ts'
import { defaultStunServers } from '../config/schema.ts'
import { isHostAndPort } from '../letter/text-rules.ts'
import { createProber, type NatView } from '../nat/prober.ts'
import { drive } from '../net/drive.ts'
import { hostEndpoints } from '../net/interfaces.ts'
import { resolveServers } from '../net/resolve-servers.ts'
import { systemClock } from '../net/system-clock.ts'
import { openUdpSocket } from '../net/udp-socket.ts'
import { loadSodium } from '../sodium.ts'
import { paint } from './output.ts'
import { describeNat } from './stories.ts'

export type NatOptions = { readonly stun?: readonly string[]; readonly json?: boolean }

export async function showNat({ stun = defaultStunServers, json }: NatOptions): Promise<void> {
  const odd = stun.find((server) => !isHostAndPort(server))
  if (odd !== undefined) {
    throw new Problem('usage', `"--stun ${odd}" is not HOST:PORT.`, 'Write it like stun.example.org:3478.')
  }
  const crypto = await loadSodium()
  const { endpoints: servers, failures } = await resolveServers(stun, { families: [4] })
  for (const { server, reason } of failures) process.stderr.write(`peerpost: ${server}: ${reason}\n`)
  const { view, local } = await ask(crypto, servers)
  const addresses = view.publicEndpoints.map(formatEndpoint)
  if (json) {
    process.stdout.write(
      `${JSON.stringify({ event: 'nat', at: new Date(systemClock.wallNow()).toISOString(), ...view.profile, public: addresses })}\n`,
    )
  } else {
    process.stdout.write(
      `${paint(addresses.length > 0 ? 'good' : 'bad', describeNat(view.profile, addresses))}\n`,
    )
    for (const { server, mapped } of view.observations) {
      process.stdout.write(`  ${formatEndpoint(server)} sees ${formatEndpoint(mapped)}\n`)
    }
    process.stdout.write(`  our own: ${local.join(', ')}\n`)
  }
  if (addresses.length === 0) {
    throw new Problem(
      'network',
      `No STUN server answered (${stun.join(', ')}).`,
      'Check that UDP is let out, or name another with --stun HOST:PORT.',
    )
  }
}

async function ask(
  crypto: Awaited<ReturnType<typeof loadSodium>>,
  servers: Parameters<typeof createProber>[0]['servers'],
): Promise<{ view: NatView; local: string[] }> {
  let receive: Parameters<typeof openUdpSocket>[0]['onDatagram'] = () => {}
  const socket = await openUdpSocket({ family: 4, onDatagram: (bytes, from) => receive(bytes, from) })
  const localEndpoints = hostEndpoints([socket.local])
  try {
    const { promise: verdict, resolve } = Promise.withResolvers<NatView>()
    const driver = drive({
      machine: createProber({ crypto, servers, localEndpoints, now: systemClock.now() }),
      clock: systemClock,
      send: (bytes, to) => socket.send(bytes, to),
      onEvent: resolve,
    })
    receive = (bytes, from) => driver.receive(bytes, from)
    const view = await verdict
    driver.stop()
    return { view, local: localEndpoints.map(formatEndpoint) }
  } finally {
    await socket.close()
  }
}
