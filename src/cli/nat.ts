// `peerpost nat`: what the world sees of this computer, and what that means.

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
import { paint } from './output.ts'
import { askRouter, openProbe, type Probe, withinMs } from './probe-nat.ts'
import { untilStopped } from './shutdown.ts'

export type NatOptions = {
  readonly stun?: readonly string[]
  readonly json?: boolean
  /** Wait until it is known how long mappings live; up to five minutes. */
  readonly lifetime?: boolean
}

/** After the verdict; it is there or not. */
const hairpinMs = 2_500
/** IPv6 is asked at the same time and may be without a way out. */
const sixMs = 500

export async function showNat({ stun = defaultStunServers, json, lifetime }: NatOptions): Promise<void> {
  const odd = stun.find((server) => !isHostAndPort(server))
  if (odd !== undefined) {
    throw new Problem('usage', `"--stun ${odd}" is not HOST:PORT.`, 'Write it like stun.example.org:3478.')
  }
  const { stopped } = untilStopped()
  const crypto = await loadSodium()
  const { endpoints: servers, failures } = await resolveServers(stun, { families: [4, 6] })
  for (const { server, reason } of failures) process.stderr.write(`peerpost: ${server}: ${reason}\n`)
  const probe = await openProbe({
    crypto,
    family: 4,
    servers,
    learn: lifetime ? ['hairpins', 'lifetime'] : ['hairpins'],
    ...(lifetime && { onEvent: (event) => tellProgress(event, json) }),
  })
  try {
    const facts = await gather(probe, crypto, servers)
    tell(facts, json)
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
  const six = publicSix(crypto, servers)
  const [verdict, mapping] = await Promise.all([probe.verdict, askRouter(probe, crypto, servers)])
  const canHairpin = verdict.profile.mapping === 'EIM' || verdict.profile.mapping === 'unknown'
  const learned =
    canHairpin && verdict.observations.length > 0 ? await withinMs(probe.firstLearned, hairpinMs) : null
  const view = learned ?? verdict
  const layers = layersOf({
    localEndpoints: probe.local,
    publicEndpoints: view.publicEndpoints,
    routerAddress: mapping?.external.address ?? null,
  })
  return { view, six: (await withinMs(six, sixMs)) ?? [], local: probe.local, mapping, layers }
}

/** Empty when this computer, or the network it is in, has no IPv6. */
async function publicSix(crypto: Crypto, servers: readonly Endpoint[]): Promise<readonly Endpoint[]> {
  if (!servers.some(({ address }) => familyOf(address) === 6)) return []
  const probe = await openProbe({ crypto, family: 6, servers, learn: [] }).catch(() => null)
  if (!probe) return []
  try {
    return (await probe.verdict).publicEndpoints
  } finally {
    await probe.close()
  }
}

function tell(facts: NatFacts, json: boolean | undefined): void {
  const { view, six, local, mapping, layers } = facts
  if (!json) {
    const [first = '', ...rest] = natText(facts)
    process.stdout.write(`${paint(view.publicEndpoints.length > 0 ? 'good' : 'bad', first)}\n`)
    for (const line of rest) process.stdout.write(`${line}\n`)
    return
  }
  tellJson('nat', {
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

function tellProgress(event: ProberEvent, json: boolean | undefined): void {
  if (event.type !== 'learned' || (event.profile.lifetimeMs === undefined && !event.done)) return
  const { lifetimeMs } = event.profile
  if (json) tellJson('lifetime', { lifetimeMs: lifetimeMs ?? null, done: event.done })
  else if (lifetimeMs === undefined) {
    process.stdout.write('How long ports stay open without traffic cannot be found out with these servers.\n')
  } else {
    const so = event.done ? 'stay open' : 'stay open so far'
    process.stdout.write(`Ports ${so} for at least ${seconds(lifetimeMs)} without traffic.\n`)
  }
}

function tellJson(event: string, fields: object): void {
  const at = new Date(systemClock.wallNow()).toISOString()
  process.stdout.write(`${JSON.stringify({ event, at, ...fields })}\n`)
}
