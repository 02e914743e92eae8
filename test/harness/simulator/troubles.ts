// Further faults while two agents connect. Some must not prevent the connection. After any of them both sides
// must end within their budget, with all sockets closed.

import type { NatProfile } from '../../../src/base/nat-profile.ts'
import type { SimulatedAgent } from './simulated-agent.ts'
import type { Datagram } from './simulated-network.ts'
import { otherStun, stunEndpoints } from './simulated-stun.ts'
import type { AgentChoices, Home, World } from './world.ts'

export const troubles = [
  'a server lies',
  'a server is silent',
  'a server is late',
  'servers answer twice',
  'all servers fall silent',
  'one side has a wrong profile',
  'one side gets another address',
  'strangers send to the ports',
  'there are few sockets',
  'letters come late and again',
] as const

export type Trouble = (typeof troubles)[number]

const stranger = '11.0.9.9'
const delayMs = 60

/** Applied before the agents send their first requests. */
export function prepareTrouble(trouble: Trouble, world: World): void {
  const server = pick(world.random, stunEndpoints)
  if (trouble === 'a server lies') {
    // All addresses of one operator's server lie alike; two other servers do not.
    world.stun.behave(otherStun, { falseEndpoint: { address: '11.0.9.1', port: 9_999 } })
    world.servers.splice(Math.floor(world.random() * 5), 0, otherStun)
  }
  if (trouble === 'a server is silent') world.stun.behave(server, { isSilent: true })
  if (trouble === 'a server is late') world.stun.behave(server, { lateMs: 2_500 })
  if (trouble === 'servers answer twice')
    for (const each of stunEndpoints) world.stun.behave(each, { copies: 2 })
}

/** Special options of the left side's agent. */
export function choicesUnder(trouble: Trouble, random: () => number): AgentChoices {
  if (trouble === 'there are few sockets') return { maxSockets: Math.floor(random() * 12) }
  return trouble === 'one side has a wrong profile' ? { known: anyProfile(random) } : {}
}

/** Applied when both sides know each other. */
export function applyTrouble(
  trouble: Trouble,
  world: World,
  homes: readonly Home[],
  sides: readonly SimulatedAgent[],
): void {
  const { time, random } = world
  if (trouble === 'all servers fall silent') {
    for (const each of stunEndpoints) world.stun.behave(each, { isSilent: true })
  }
  if (trouble === 'one side gets another address') {
    const nat = homes[0]?.nats.at(-1)
    time.after(random() * 60_000, () => nat?.changeAddresses(['11.0.2.200']))
  }
  if (trouble === 'strangers send to the ports') repeatTraffic(world, sides)
}

/**
 * A stranger repeats every datagram in both directions, and sends garbage of the same form. Only after the
 * original has arrived: an attacker faster than the network is on the path and could do worse.
 */
function repeatTraffic({ time, internet, random }: World, sides: readonly SimulatedAgent[]): void {
  let left = 2_000
  internet.tap = ({ from, to, bytes }: Datagram) => {
    if (from.address === stranger || left <= 0 || sides.every(({ ended }) => ended !== null)) return
    left--
    const noise = Uint8Array.from(bytes, (byte, index) => (index < 9 ? byte : Math.floor(random() * 256)))
    for (const target of [to, from]) {
      for (const content of [bytes, noise]) {
        const again = { from: { address: stranger, port: to.port }, to: target, bytes: content }
        time.after(delayMs, () => internet.send(again))
      }
    }
  }
}

function anyProfile(random: () => number): NatProfile {
  const mapping = pick(random, ['none', 'EIM', 'ADM', 'APDM', 'unknown'] as const)
  const filtering = pick(random, ['EIF', 'ADF', 'APDF', 'unknown'] as const)
  const first = 1_024 + Math.floor(random() * 60_000)
  const block = { first, last: first + 255 }
  const allocation = pick(random, [
    { type: 'preserving' },
    { type: 'unknown' },
    { type: 'random' },
    { type: 'random', block },
    { type: 'sequential', step: Math.floor(random() * 21) - 10 || 1 },
    { type: 'sequential', step: 1, block },
  ] as const)
  return { mapping, filtering, allocation }
}

function pick<Value>(random: () => number, values: readonly Value[]): Value {
  return values[Math.floor(random() * values.length)] as Value
}
