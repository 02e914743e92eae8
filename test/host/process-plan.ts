// What a host in a process of its own is told when it starts, and the keys and the room that its agents know.

import { toHex } from '../../src/base/bytes.ts'
import type { RoomKeys } from '../../src/letter/room-membership.ts'
import { realCrypto } from '../harness/seeded-crypto.ts'
import { type HostKeys, hostAddress, makeRoom, subject } from './fakes.ts'
import type { RealHostOptions } from './real-host.ts'
import { keysOf, makeSeeds } from './seeds.ts'

export type HostPlan = {
  readonly keys: HostKeys
  readonly room: RoomKeys
  readonly options: RealHostOptions
}

/** With new keys and a new room. */
export function planHost(
  options: Pick<RealHostOptions, 'imapUrl' | 'smtpUrl' | 'database' | 'settings'>,
): HostPlan {
  const seeds = makeSeeds(realCrypto)
  const room = makeRoom()
  return {
    keys: keysOf(realCrypto, seeds),
    room,
    options: {
      ...seeds,
      roomTagHex: toHex(room.tag),
      address: hostAddress,
      subject,
      ...options,
    },
  }
}
