// A host from its settings, the same for command line and library.

import type { Crypto } from '../base/crypto.ts'
import { Problem } from '../base/problem.ts'
import type { Loaded } from '../config/load.ts'
import type { HostConfig } from '../config/schema.ts'
import { createHost, type Host, type HostEvent } from '../host/service.ts'
import { writeInvite } from '../letter/invite.ts'
import { systemClock } from '../net/system-clock.ts'
import type { HostKeys } from './host-keys.ts'
import { openMail } from './open-mail.ts'

export type HostSetup = {
  readonly crypto: Crypto
  readonly loaded: Loaded<HostConfig>
  readonly keys: HostKeys
  readonly onEvent: (event: HostEvent) => void
  /** One sentence for a person. */
  readonly onNotice: (notice: string) => void
}

/** Not started; nothing is open yet. */
export function setUpHost({ crypto, loaded, keys, onEvent, onNotice }: HostSetup): Host {
  const { config, path } = loaded
  const { subject } = config.mail
  return createHost({
    ...{ clock: systemClock, crypto, subject, onEvent },
    ...openMail(config.mail, path, { subject, address: config.address }, onNotice),
    identity: keys.identity,
    sealingKeys: keys.sealingKeys,
    address: config.address,
    rooms: keys.rooms.map(({ name, keys }) => ({ name, tag: keys.tag })),
    settings: {
      capacity: config.table.capacity,
      expiryMs: config.table.expiry,
      freshnessMs: config.letters.freshness,
      futureToleranceMs: config.letters.future_tolerance,
      replyPeers: config.letters.reply_peers,
      introductionWindowMs: config.letters.introduction_window,
      sweepMs: config.letters.sweep,
      natPrefix: { 4: config.same_nat.ipv4_prefix, 6: config.same_nat.ipv6_prefix },
    },
    database: path(config.table.path),
  })
}

/** The invite to one of the host's rooms, the first if left out, on one line. Throws a Problem when there is none. */
export function inviteTo(
  { crypto, loaded: { config }, keys }: Pick<HostSetup, 'crypto' | 'loaded' | 'keys'>,
  wanted?: string,
): string {
  const room = wanted === undefined ? keys.rooms[0] : keys.rooms.find(({ name }) => name === wanted)
  if (!room) {
    const names = keys.rooms.map(({ name }) => name).join(', ')
    throw new Problem('usage', `There is no room "${wanted}".`, `Name one of: ${names}.`)
  }
  return writeInvite(crypto, {
    host: {
      address: config.address,
      identity: keys.identity.publicKey,
      sealingKey: keys.sealingKeys.publicKey,
    },
    room: { name: room.name, secret: room.secret },
    stunServers: config.stun.servers,
    otherHosts: [],
    subject: config.mail.subject,
  })
}
