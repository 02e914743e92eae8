// A host on real mail servers, made from options that can be sent to another process as JSON.

import { toHex } from '../../../src/base/bytes.ts'
import type { Crypto } from '../../../src/base/crypto.ts'
import { createHost, type Host, type HostEvent, type HostSettings } from '../../../src/host/host.ts'
import type { InviteHost } from '../../../src/letter/invite.ts'
import { limits } from '../../../src/letter/limits.ts'
import type { RoomKeys } from '../../../src/letter/room-membership.ts'
import { createSender, openMailbox } from '../../../src/mail/open-mailbox.ts'
import { systemClock } from '../../../src/runtime/system-clock.ts'
import { realCrypto } from '../../harness/seeded-crypto.ts'
import { type HostKeys, hostAddress, makeRoom, subject } from '../fakes.ts'

/** The seeds of a host's keys. */
export type HostSeeds = { readonly identitySeedHex: string; readonly sealingSeedHex: string }
export type HostSeedsAt = HostSeeds & { readonly address: string }

export type RealHostOptions = HostSeeds & {
  /** Left out for a representative, which has no room. */
  readonly roomTagHex?: string
  /** Other hosts that it knows. */
  readonly hosts?: readonly HostSeedsAt[]
  readonly workers?: readonly HostSeedsAt[]
  readonly represents?: HostSeeds & { readonly representative: HostSeedsAt }
  readonly address: string
  readonly subject: string
  /** The URL of any kind of mailbox. */
  readonly receiveUrl: string
  readonly sendUrl: string
  readonly database: string
  readonly settings: Partial<HostSettings>
}

export function makeSeeds(): HostSeeds {
  const seed = () => toHex(realCrypto.randomBytes(32))
  return { identitySeedHex: seed(), sealingSeedHex: seed() }
}

export function keysOf(crypto: Crypto, { identitySeedHex, sealingSeedHex }: HostSeeds): HostKeys {
  return {
    identity: crypto.signKeyPair(bytesOf(identitySeedHex)),
    sealingKeys: crypto.boxKeyPair(bytesOf(sealingSeedHex)),
  }
}

function bytesOf(hex: string): Uint8Array {
  return new Uint8Array(Buffer.from(hex, 'hex'))
}

/** A host with new keys and a new room, and what its agents know about it. */
export type HostPlan = {
  readonly keys: HostKeys
  readonly room: RoomKeys
  readonly options: RealHostOptions
}

export function planHost(
  options: Pick<RealHostOptions, 'receiveUrl' | 'sendUrl' | 'database' | 'settings'> & {
    readonly address?: string
  },
): HostPlan {
  const seeds = makeSeeds()
  const room = makeRoom()
  return {
    keys: keysOf(realCrypto, seeds),
    room,
    options: { ...seeds, roomTagHex: toHex(room.tag), address: hostAddress, subject, ...options },
  }
}

export function createRealHost(
  crypto: Crypto,
  options: RealHostOptions,
  onEvent: (event: HostEvent) => void,
  onFailed: () => void = () => {},
): Host {
  const { address, roomTagHex, hosts, workers, represents } = options
  const cardAt = (host: HostSeedsAt): InviteHost => {
    const { identity, sealingKeys } = keysOf(crypto, host)
    return { address: host.address, identity: identity.publicKey, sealingKey: sealingKeys.publicKey }
  }
  return createHost({
    clock: systemClock,
    crypto,
    ...keysOf(crypto, options),
    address,
    subject: options.subject,
    rooms: roomTagHex === undefined ? [] : [{ name: 'lobby', tag: bytesOf(roomTagHex) }],
    ...(hosts && { hosts: hosts.map(cardAt) }),
    ...(workers && { workers: workers.map(cardAt) }),
    ...(represents && {
      represents: { ...keysOf(crypto, represents), representative: cardAt(represents.representative) },
    }),
    settings: options.settings,
    database: options.database,
    mailbox: openMailbox(
      options.receiveUrl,
      { subject: options.subject, address, maxBytes: limits.mailBytes },
      { clock: systemClock },
    ),
    sender: createSender(options.sendUrl, { clock: systemClock }),
    onEvent,
    onFailed,
  })
}
