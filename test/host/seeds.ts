// A host's keys as JSON holds them, for processes that are told who they are.

import type { Crypto } from '../../src/base/crypto.ts'
import type { InviteHost } from '../../src/letter/invite.ts'

export type HostSeeds = { readonly identitySeedHex: string; readonly sealingSeedHex: string }
export type HostSeedsAt = HostSeeds & { readonly address: string }

export function makeSeeds(crypto: Crypto): HostSeeds {
  const seed = () => Buffer.from(crypto.randomBytes(32)).toString('hex')
  return { identitySeedHex: seed(), sealingSeedHex: seed() }
}

export function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

export function keysOf(crypto: Crypto, { identitySeedHex, sealingSeedHex }: HostSeeds) {
  return {
    identity: crypto.signKeyPair(bytesOf(identitySeedHex)),
    sealingKeys: crypto.boxKeyPair(bytesOf(sealingSeedHex)),
  }
}

export function cardOf(crypto: Crypto, { address, ...seeds }: HostSeedsAt): InviteHost {
  const { identity, sealingKeys } = keysOf(crypto, seeds)
  return { address, identity: identity.publicKey, sealingKey: sealingKeys.publicKey }
}
