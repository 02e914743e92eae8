// Plans and the NATs of other players in a few words.

import type { NatProfile } from '../base/nat-profile.ts'
import type { HardStrategy } from '../punch/punch-plan.ts'

const plans: Readonly<Record<HardStrategy | 'direct' | 'tcp', string>> = {
  direct: 'sending to all of its addresses at once',
  tcp: 'opening TCP connections, since UDP does not pass',
  range: 'trying the ports around the one that a counting router gave',
  'assigned-range': 'letting each router give a port first, then trying the ports around it',
  birthday: 'searching for a random port, with many ports of ours against many of theirs',
  'assigned-birthday': 'letting the counting router give ports, and searching for the random one',
  'block-search': 'searching the few ports that the provider gives to one customer',
  'target-list': 'agreeing on ports that both routers will use next',
}

export function planWords(plan: string): string | null {
  return plan in plans ? plans[plan as keyof typeof plans] : null
}

/** Describes the router of another player. */
export function natWords({ mapping, allocation }: NatProfile): string {
  switch (mapping) {
    case 'none':
      return 'no NAT'
    case 'EIM':
      return 'a router that keeps one port for everybody'
    case 'ADM':
    case 'APDM': {
      const ports = allocation.type === 'random' ? ' at random' : ''
      return `a router that takes another port for each ${mapping === 'ADM' ? 'address' : 'destination'}${ports}`
    }
    case 'unknown':
      return 'a router of unknown kind'
  }
}
