// What a worker of a representative host holds (A14): the keys that agents know, shared by all its workers, and
// the card of the representative.

import type { Crypto } from '../base/crypto.ts'
import type { HostConfig } from '../config/config-schema.ts'
import type { Loaded } from '../config/load-config.ts'
import { readSeed } from '../config/secret-files.ts'
import type { HostKeyPairs } from '../host/context.ts'
import type { SharedRepresentative } from '../letter/host-card.ts'
import type { InviteHost } from '../letter/invite.ts'
import { hostCardFrom } from './known-hosts.ts'

export type Represented = HostKeyPairs & SharedRepresentative

/** Null for a host that is no worker. */
export function readRepresented(
  crypto: Crypto,
  { config: { represents }, path }: Loaded<HostConfig>,
): Represented | null {
  if (!represents) return null
  const identitySeed = readSeed(path(represents.identity_file), 'The identity key that workers share')
  const sealingSeed = readSeed(path(represents.sealing_file), 'The sealing key that workers share')
  return {
    representative: hostCardFrom(crypto, represents.card, 'The card in [represents]').host,
    ...{ identitySeed, sealingSeed },
    identity: crypto.signKeyPair(identitySeed),
    sealingKeys: crypto.boxKeyPair(sealingSeed),
  }
}

/** The host as invites name it. */
export function frontOf(
  address: string,
  { identity, sealingKeys, represented }: HostKeyPairs & { readonly represented: Represented | null },
): { readonly keys: HostKeyPairs; readonly host: InviteHost } {
  const keys = represented ?? { identity, sealingKeys }
  return {
    keys,
    host: {
      address: represented?.representative.address ?? address,
      identity: keys.identity.publicKey,
      sealingKey: keys.sealingKeys.publicKey,
    },
  }
}
