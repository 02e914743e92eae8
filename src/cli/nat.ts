// `peerpost nat`: prints the public address and the NAT of this computer, and who can be reached.

import type { Crypto } from '../base/crypto.ts'
import { type Endpoint, familyOf, formatEndpoint } from '../base/endpoint.ts'
import { Problem } from '../base/problem.ts'
import { defaultStunServers } from '../config/config-schema.ts'
import { isHostAndPort } from '../letter/text-validation.ts'
import { layersOf } from '../nat/nat-layers.ts'
import type { ProberEvent } from '../nat/nat-prober.ts'
import { resolveServers } from '../net/resolve-stun-servers.ts'
import { loadSodium } from '../runtime/sodium.ts'
import { systemClock } from '../runtime/system-clock.ts'
import { type NatFacts, natText, reachOf } from '../wording/nat-text.ts'
import { seconds } from '../wording/numbers-text.ts'
import { paint, printEvent } from './output.ts'
import { openProbe, type Probe, probePortMapping, withinMs } from './probe-nat.ts'
import { untilStopped } from './shutdown.ts'

export type NatOptions = {
  readonly stun?: readonly string[]
  readonly json?: boolean
  /** Also measure how long mappings live. This takes up to five minutes. */
  readonly lifetime?: boolean
}

/** How long to wait for the hairpin test after the verdict. */
const hairpinTimeoutMs = 2_500
/** IPv6 is probed at the same time as IPv4. This is how much longer it may take, as IPv6 often has no route. */
const ipv6TimeoutMs = 500

export async function showNat({ stun = defaultStunServers, json, lifetime }: NatOptions): Promise<void> {
  const invalid = stun.find((server) => !isHostAndPort(server))
  if (invalid !== undefined) {
    throw new Problem(
      'usage',
      `"--stun ${invalid}" is not HOST:PORT.`,
      'Write it like stun.example.org:3478.',
    )
  }
  const { stopped } = untilStopped()
  const crypto = await loadSodium()
  const { endpoints: servers, failures } = await resolveServers(stun, { families: [4, 6] })
  for (const { server, reason } of failures) process.stderr.write(`peerpost: ${server}: ${reason}\n`)
  const probe = await openProbe({
    crypto,
    family: 4,
    servers,
    backgroundTests: lifetime ? ['hairpins', 'lifetime'] : ['hairpins'],
    ...(lifetime && { onEvent: (event) => printProgress(event, json) }),
  })
  try {
    const facts = await gather(probe, crypto, servers)
    printFacts(facts, json)
    if (facts.view.publicEndpoints.length === 0 && facts.six.length === 0) {
      throw new Problem(
        'network',
        `No STUN server answered (${stun.join(', ')}).`,
        'Check that UDP is let out, or name another with --stun HOST:PORT.',
      )
    }
    if (lifetime && facts.view.observations.length > 0) await Promise.race([probe.allLearned, stopped])
  } finally {
    await probe.close()
  }
}

async function gather(probe: Probe, crypto: Crypto, servers: readonly Endpoint[]): Promise<NatFacts> {
  const six = publicIpv6(crypto, servers)
  const [verdict, mapping] = await Promise.all([probe.verdict, probePortMapping(probe, crypto, servers)])
  const canHairpin = verdict.profile.mapping === 'EIM' || verdict.profile.mapping === 'unknown'
  const learned =
    canHairpin && verdict.observations.length > 0
      ? await withinMs(probe.firstLearned, hairpinTimeoutMs)
      : null
  const view = learned ?? verdict
  const layers = layersOf({
    localEndpoints: probe.local,
    publicEndpoints: view.publicEndpoints,
    routerAddress: mapping?.external.address ?? null,
  })
  return { view, six: (await withinMs(six, ipv6TimeoutMs)) ?? [], local: probe.local, mapping, layers }
}

/** Empty when this computer or its network has no IPv6. */
async function publicIpv6(crypto: Crypto, servers: readonly Endpoint[]): Promise<readonly Endpoint[]> {
  if (!servers.some(({ address }) => familyOf(address) === 6)) return []
  const probe = await openProbe({ crypto, family: 6, servers, backgroundTests: [] }).catch(() => null)
  if (!probe) return []
  try {
    return (await probe.verdict).publicEndpoints
  } finally {
    await probe.close()
  }
}

function printFacts(facts: NatFacts, json: boolean | undefined): void {
  const { view, six, local, mapping, layers } = facts
  if (!json) {
    const [first = '', ...rest] = natText(facts)
    process.stdout.write(`${paint(view.publicEndpoints.length > 0 ? 'good' : 'bad', first)}\n`)
    for (const line of rest) process.stdout.write(`${line}\n`)
    return
  }
  printEvent(systemClock.wallNow(), 'nat', {
    ...view.profile,
    public: view.publicEndpoints.map(formatEndpoint),
    ipv6: six.map(formatEndpoint),
    local: local.map(formatEndpoint),
    layers,
    ...(view.hairpins !== undefined && { hairpins: view.hairpins }),
    router: mapping && { language: mapping.language, external: formatEndpoint(mapping.external) },
    reach: Object.fromEntries(reachOf(facts).map(({ peer, plan }) => [peer, plan])),
  })
}

function printProgress(event: ProberEvent, json: boolean | undefined): void {
  if (event.type !== 'learned' || (event.profile.lifetimeMs === undefined && !event.done)) return
  const { lifetimeMs } = event.profile
  if (json)
    printEvent(systemClock.wallNow(), 'lifetime', { lifetimeMs: lifetimeMs ?? null, done: event.done })
  else if (lifetimeMs === undefined) {
    process.stdout.write('These servers cannot show how long ports stay open without traffic.\n')
  } else {
    const verb = event.done ? 'stay open' : 'stay open so far'
    process.stdout.write(`Ports ${verb} for at least ${seconds(lifetimeMs)} without traffic.\n`)
  }
}
