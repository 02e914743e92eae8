// Reads the other hosts from the cards in the config of a host.

import { equalBytes } from '../base/bytes.ts'
import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import type { HostConfig } from '../config/config-schema.ts'
import { type HostCard, type HostCardFault, readHostCard } from '../letter/host-card.ts'
import type { InviteHost } from '../letter/invite.ts'

const complaints: Readonly<Record<HostCardFault, readonly [string, string]>> = {
  'not-a-card': ['is no card of a host.', 'A card begins with peerposthost1; copy all of it.'],
  incomplete: ['is only a part of a card.', 'Copy it again, to its very end.'],
  typo: ['is a card with a typo.', 'Copy it instead of typing it, or ask for it again.'],
  'unknown-version': ['is a card of a newer peerpost.', 'Update peerpost.'],
}

/** Throws a Problem that begins with `where`. */
export function hostCardFrom(crypto: Crypto, text: string, where: string): HostCard {
  const read = readHostCard(crypto, text)
  if (read.ok) return read.card
  const [complaint, remedy] = complaints[read.fault]
  throw new Problem('invite', `${where} ${complaint}`, remedy)
}

/** Throws a Problem for a card that is invalid, is our own, or is listed twice. */
export function knownHosts(crypto: Crypto, config: HostConfig, self: Uint8Array): readonly InviteHost[] {
  const hosts: InviteHost[] = []
  for (const [index, { card }] of config.hosts.entries()) {
    const { host } = hostCardFrom(crypto, card, `The card of [[hosts]] number ${index + 1}`)
    const isSame = (identity: Uint8Array) => equalBytes(identity, host.identity)
    if (isSame(self)) {
      throw new Problem(
        'config',
        'One of the [[hosts]] is this host itself.',
        'Take its card out of the config.',
      )
    }
    if (hosts.some(({ identity }) => isSame(identity))) {
      throw new Problem('config', `The host ${host.address} is in [[hosts]] twice.`, 'Take one of them out.')
    }
    hosts.push(host)
  }
  return hosts
}
